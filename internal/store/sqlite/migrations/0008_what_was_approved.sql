-- An approval is of an operation in its context: the channel, the device and the reason are what its approver judged, too.
-- The reason has a column already. What was asked before is about what it said then.
ALTER TABLE request ADD COLUMN channel TEXT NOT NULL DEFAULT '';
ALTER TABLE request ADD COLUMN device TEXT NOT NULL DEFAULT '';

UPDATE request SET channel = coalesce(question ->> '$.Context.Channel', ''), device = coalesce(question ->> '$.Context.Device', '');
