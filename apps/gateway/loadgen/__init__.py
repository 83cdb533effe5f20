"""Open-loop load on an exchange of one's own: `manage.py loadgen`, or `python -m apps.gateway.loadgen` with a plan.

Every request has a moment at which it is due, fixed beforehand. Its latency counts from that moment, whether or not the
client, a free connection or the exchange was late, so a stall is seen by every request that it delayed.

Needs no Django: it talks to the exchange only as any client does.
"""
