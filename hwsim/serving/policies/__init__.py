"""Policies decide, mechanisms apply: a read-only view comes in, a plain decision goes out; one folder per question."""
