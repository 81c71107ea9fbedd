-- Changing what a projection is made of while it is served.

-- Raised when a rebuild is switched in and when a parked key is taken up again. Part of the projector's compare-and-set:
-- one that runs on notices that its view was changed from outside, and reads anew what it keeps in memory.
ALTER TABLE projections ADD COLUMN generation bigint NOT NULL DEFAULT 0;

-- Holds nothing; only locked. A snapshot locks it ACCESS SHARE before it sees anything, the switch of a rebuild ACCESS
-- EXCLUSIVE: rows of a table that is moved in would otherwise be missing in snapshots taken before the rows were written.
CREATE TABLE projection_switch ();
