"""What a tier costs before anything runs, and afterwards the plan beside the fact. Importing it imports no torch.

plan(params, Path("results/mini"), Path("results/data"))
"""

from regrow.plan.rows import Plan, plan

__all__ = ["Plan", "plan"]
