"""One file per protocol, one signature: a request, the door and a clock go in, an observation comes out. Probers
never judge.
"""
