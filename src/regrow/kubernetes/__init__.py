"""Snakemake's jobs as Kubernetes Jobs: what profiles/kubernetes calls to submit, to ask for and to cancel them."""
