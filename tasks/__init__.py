"""One step of the way each: plain functions, shown by Prefect as tasks where a flow is running.

Each step reads rows and files and leaves rows and files; between steps travels a path, a hash or a
row, never a frame. What they share is a `House`.
"""
