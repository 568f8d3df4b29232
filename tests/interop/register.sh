#!/bin/sh
# The registration as TagMango's page shows it for cURL; only the host ($1), the key ($2) and the hook ($3) differ.
curl -s -X 'POST' \
  "$1/api/v1/integration/webhook/webhook" \
  -H 'accept: application/json' \
  -H "x-api-key: $2" \
  -H 'Content-Type: application/json' \
  -d "{
\"hookUrl\": \"$3\",
\"event\": \"webinar.created.recurring\"
}"
