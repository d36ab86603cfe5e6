"""The `longwave` command, one package for each group of commands."""
