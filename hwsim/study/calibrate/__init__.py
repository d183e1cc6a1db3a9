"""Coefficients of cost laws from measured tables, and the errors of those laws on rows they were not fitted on."""
