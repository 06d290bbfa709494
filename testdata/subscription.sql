-- A subscription that never connects. Apart from allkinds.sql because a database with one can't be dropped:
--   ALTER SUBSCRIPTION pgark_sub DISABLE; ALTER SUBSCRIPTION pgark_sub SET (slot_name = NONE); DROP SUBSCRIPTION pgark_sub;
SET client_min_messages = error;
CREATE SUBSCRIPTION pgark_sub CONNECTION 'host=localhost port=1 dbname=nowhere password=hidden'
    PUBLICATION p1, "P, ""2""" WITH (connect = false, slot_name = NONE, binary = false, synchronous_commit = 'remote_apply');
COMMENT ON SUBSCRIPTION pgark_sub IS 'a subscription';
RESET client_min_messages;
