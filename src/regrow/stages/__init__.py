"""The stages of the DAG, one module each; every one is also a command of `regrow`."""
