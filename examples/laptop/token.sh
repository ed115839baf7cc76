#!/bin/sh
# Prints a token for the agent crm-bot, acting for alice of acme, bound to the key in agent.pem. Whatever follows is added:
# `./token.sh --claim 'sub="bob"'`.
exec exequatur dev token --issuer https://sts.example.com --audience http://localhost:10000 --agent crm-bot --user alice \
    --tenant acme --scope "documents:read documents:write" --bind "$(dirname "$0")/agent.pem" --lifetime 900 "$@"
