#!/bin/sh
# Built beside and renamed: the file of a running program cannot be written to.
set -e
{{prepare}}
go build -o bin/server.new .
mv bin/server.new bin/server
