"""Result files of benchmark clients: one file per tool, whose ``PART`` recognises and reads them."""
