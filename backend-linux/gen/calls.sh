#!/bin/sh
# Makes backend-linux/src/calls.tsv from the call tables of userland, which come from the kernel's own headers.
set -eu
cd "$(dirname "$0")/../.."
{
  echo "# Made by backend-linux/gen/calls.sh from userland/src/tables. Do not edit."
  echo "# ABI	number	name	groups"
  for abi in 0:x86_64 1:i386; do
    awk -F '\t' -v abi="${abi%%:*}" '
      /^#/ { next }
      { groups = $3; gsub(/[^fdpnsm]/, "", groups); print abi "\t" $1 "\t" $2 "\t" groups }
    ' "userland/src/tables/${abi##*:}.tsv"
  done
} >backend-linux/src/calls.tsv
