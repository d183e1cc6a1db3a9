"""Measurements of the machine that hwsim runs on."""
