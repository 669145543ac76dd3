"""A federation member: a BinderHub-compatible service that builds repositories and launches them."""
