"""repo2docker buildpacks of ours, loaded by repo2docker in a process of its own; they know no other floor."""
