"""The kinds of every choice in the language, one file per question: ``PART`` lists their parameter models.

A field's annotation gives its unit, its docstring line its meaning; the names are what a person writes after ``kind:``.
"""
