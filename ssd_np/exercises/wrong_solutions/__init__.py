"""Solutions and known slips of every exercise, which the graded tests must tell apart."""
