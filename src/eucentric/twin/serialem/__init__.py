"""A simulated SerialEM: the Python module `serialem` on a twin, for rehearsing scripts that were written for SerialEM.

Names, argument counts, units and what commands report are from SerialEM's public help and its master list of commands;
none of its code is here.
"""
