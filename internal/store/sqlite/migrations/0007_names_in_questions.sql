-- What questions may say instead of the names that are declared: which actions they tell apart by a property, and by which
-- logins they name users. Null where there are none.
ALTER TABLE object_type ADD COLUMN variants TEXT CHECK (json_valid(variants));
ALTER TABLE crm_user ADD COLUMN logins TEXT CHECK (json_valid(logins));
