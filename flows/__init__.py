"""What happens in which order.

`prepare` makes a film known and queues its work; `drain` does queued work until none is left; `finish`
assembles. Each is a plain function on a `House`; `flows.deployed` gives the same to Prefect, and
`flows.restore` runs all three in one process, with the engine or without it.
"""
