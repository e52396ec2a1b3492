"""How well response can be predicted at all."""

from correlatives.response.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
