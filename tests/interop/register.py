"""The registration as TagMango's page shows it for Python; only host, key and hook differ."""

import json
import sys

import requests

host, key, hook = sys.argv[1:]
url = f"{host}/api/v1/integration/webhook/webhook"
headers = {"accept": "application/json", "Content-Type": "application/json", "x-api-key": key}
data = {"hookUrl": hook, "event": "webinar.created.recurring"}
response = requests.post(url, headers=headers, json=data)
print(json.dumps(response.json()))
