-- What each user has used of the limits in the last 24 hours. It is nobody's content: no declaration owns it, no revision
-- or ledger counts it, and it outlives the objects that it names. A minute is one since 1970.
CREATE TABLE crm_access.usage (
    tenant text NOT NULL,
    user_name text NOT NULL,
    -- The nth of each belong together. All of a user's is one row, so that one row is what reservations stand in line for.
    minutes bigint[] NOT NULL CHECK (array_position(minutes, NULL) IS NULL),
    objects text[] NOT NULL CHECK (array_position(objects, NULL) IS NULL),
    actions text[] NOT NULL CHECK (array_position(actions, NULL) IS NULL),
    rows bigint[] NOT NULL CHECK (array_position(rows, NULL) IS NULL),
    PRIMARY KEY (tenant, user_name),
    CHECK (cardinality(objects) = cardinality(minutes) AND cardinality(actions) = cardinality(minutes)
        AND cardinality(rows) = cardinality(minutes))
);
