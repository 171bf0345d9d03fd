"""What must be stored, by a second engine that is plain: no SQL, no indexes, no counters.

oracle.py is told of each verb. runs.py has the state, turns.py, shares.py, order.py, claims.py and
refusals.py the rules. ledger.py compares with the rows, sights.py with what is read of them.
"""
