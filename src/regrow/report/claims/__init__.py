"""What the papers claim, each with one verdict: the ledger params/claims.yaml beside the records.

settle(claim, ledger, records).verdict
"""

from regrow.report.claims.ledger import ARITHMETIC, CLAIMS, load_ledger
from regrow.report.claims.table import claims_markdown, claims_table, claims_words

__all__ = ["ARITHMETIC", "CLAIMS", "claims_markdown", "claims_table", "claims_words", "load_ledger"]
