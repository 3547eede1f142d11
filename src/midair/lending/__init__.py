"""A program that binds its port by itself is lent the service's socket: updates without a gap for programs that know of none."""
