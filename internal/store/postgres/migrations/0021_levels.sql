-- What tuples that stand by themselves let see of a row, in two bits for each field. See docs/postgresql.md.
--
-- A function, though a subselect would do: the planner counts a subselect's cost for each row, also of rows that have nothing
-- to ask of it, and compiles a query that it takes for a long one.
CREATE FUNCTION crm_access.levels_by(
    tuples crm_access.reaching_tuple[], nothing bit varying, id text, owner text, department text, participants text[], columns jsonb
) RETURNS bit varying
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t crm_access.reaching_tuple;
    levels bit varying := nothing;
BEGIN
    FOREACH t IN ARRAY tuples LOOP
        IF (t.everything OR owner = ANY (t.owners) OR department = ANY (t.departments) OR id = ANY (t.ids) OR participants && t.participants)
            AND crm_access.row_meets(t.conditions, columns) THEN
            levels := levels | t.levels;
        END IF;
    END LOOP;
    RETURN levels;
END
$$;
