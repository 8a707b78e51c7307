"""The responses of the protocols: the values that a prober saw and `checks` judges, without the readers of what asked for them.

An evaluator imports these and not `apitest.protocols`: it judges responses and never reads a test.
"""
