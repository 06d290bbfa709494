-- One table, or other object, of every kind that Greenplum 6 has, with a few rows each. Pure SQL: run it in an empty
-- database as a superuser. Needs the role gpkinds_reader, which it makes if it is missing.

SET client_min_messages = warning;
DO $$BEGIN
	IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'gpkinds_reader') THEN
		CREATE ROLE gpkinds_reader NOLOGIN RESOURCE QUEUE pg_default;
	END IF;
END$$;

CREATE SCHEMA sales;
CREATE SCHEMA "Odd ""schema";
COMMENT ON SCHEMA sales IS 'DISTRIBUTED BY (id) is only text here';
GRANT USAGE ON SCHEMA sales TO gpkinds_reader;

-- Types, sequences, functions.
CREATE TYPE sales.mood AS ENUM ('sad', 'ok', 'it''s WITH (appendonly=true)');
CREATE TYPE sales.point3 AS (x double precision, y real, z int);
CREATE TYPE sales.packed;
CREATE FUNCTION sales.packed_in(cstring) RETURNS sales.packed LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION sales.packed_out(sales.packed) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE sales.packed (INPUT = sales.packed_in, OUTPUT = sales.packed_out, LIKE = int4, COMPRESSTYPE = zlib);
CREATE DOMAIN sales.positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE sales.seq START 41 INCREMENT 2 CACHE 1;
SELECT setval('sales.seq', 43);
CREATE FUNCTION sales.twice(i int) RETURNS int LANGUAGE sql IMMUTABLE CONTAINS SQL AS $$ SELECT $1 * 2 $$;
CREATE FUNCTION sales.count_all() RETURNS bigint LANGUAGE plpgsql VOLATILE READS SQL DATA AS $fn$
BEGIN
	-- DISTRIBUTED RANDOMLY stays in a body: "EXECUTE ON ANY"
	RETURN (SELECT count(*) FROM pg_class);
END $fn$;
CREATE FUNCTION sales.on_coordinator() RETURNS SETOF int LANGUAGE plpgsql VOLATILE NO SQL EXECUTE ON MASTER AS $$ BEGIN RETURN NEXT 1; END $$;
CREATE FUNCTION sales.on_segments() RETURNS SETOF int LANGUAGE sql VOLATILE MODIFIES SQL DATA EXECUTE ON ALL SEGMENTS AS $$ SELECT 1 $$;
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END $$;
COMMENT ON FUNCTION sales.twice(int) IS 'EXECUTE ON ALL SEGMENTS';
CREATE AGGREGATE sales.total(int) (SFUNC = int4pl, STYPE = int, COMBINEFUNC = int4pl, INITCOND = '0');
CREATE AGGREGATE sales.joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '');

-- Heap, by distribution.
CREATE TABLE sales.heap_hash (
	id int NOT NULL, name text DEFAULT 'DISTRIBUTED BY (name) ENCODING (compresstype=zlib)' NOT NULL, amount numeric(12,2),
	ratio double precision, small real, at timestamp with time zone DEFAULT '2024-01-01 00:00:00+00', doc text,
	CONSTRAINT heap_hash_pkey PRIMARY KEY (id), CHECK (amount > (-1000)::numeric)
) DISTRIBUTED BY (id);
INSERT INTO sales.heap_hash (id, name, amount, ratio, small)
	SELECT i, 'name ' || i, i * 1.25, i / 3.0, (i / 7.0)::real FROM generate_series(1, 100) i;
CREATE TABLE sales.heap_two_keys (a int, b text, c date) DISTRIBUTED BY (b, a);
INSERT INTO sales.heap_two_keys SELECT i % 7, 'k' || i % 3, date '2024-01-01' + i FROM generate_series(1, 50) i;
CREATE TABLE sales.heap_random (id serial, v sales.mood, p sales.point3, n sales.positive) WITH (fillfactor=70) DISTRIBUTED RANDOMLY;
INSERT INTO sales.heap_random (v, p, n) SELECT 'ok', row(i / 3.0, i, i)::sales.point3, i FROM generate_series(1, 30) i;
CREATE TABLE sales.heap_replicated (code char(2) PRIMARY KEY, label text) DISTRIBUTED REPLICATED;
INSERT INTO sales.heap_replicated VALUES ('de', 'Germany'), ('fr', 'France'), ('xx', NULL);
CREATE TABLE sales.heap_oids (id int, v text) WITH (OIDS=TRUE) DISTRIBUTED BY (id);
INSERT INTO sales.heap_oids VALUES (1, 'a'), (2, 'b');
CREATE TABLE sales.empty (id int, v text) DISTRIBUTED BY (id);
CREATE TABLE sales.no_columns () DISTRIBUTED RANDOMLY;
CREATE UNLOGGED TABLE sales.unlogged (id int, v text) DISTRIBUTED BY (id);
INSERT INTO sales.unlogged VALUES (1, 'one');
CREATE TABLE "Odd ""schema"."Odd ""table, DISTRIBUTED BY (x)" ("Key ""x" int, "select" text, "tab	here" bytea) DISTRIBUTED BY ("Key ""x");
INSERT INTO "Odd ""schema"."Odd ""table, DISTRIBUTED BY (x)" VALUES (1, E'tab\there\\ and\nnewline', E'\\x00ff'), (2, NULL, NULL);
CREATE TABLE sales.opclass (a varchar(20), b int) DISTRIBUTED BY (a, b);
INSERT INTO sales.opclass SELECT 'v' || i, i FROM generate_series(1, 20) i;
CREATE TABLE sales.like_types (id bigint, i int[], t text[], d double precision[], j json, iv interval, u uuid, b bit(5), m money, ip inet,
	pt point, bx box, r numrange, ts tsvector, x xml) DISTRIBUTED BY (id);
INSERT INTO sales.like_types VALUES
	(1, '{1,2,NULL}', '{"a b",NULL,"c\"d"}', '{0.1,1e300,NaN}', '{"a":1}', '1 day 02:03:04', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', B'10101', 12.5, '10.0.0.1/8',
	'(0.1,0.2)', '(1,1),(0.3,0.3)', '[1.5,2.5)', 'a:1 b:2', '<a/>'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- Append-optimized, by row and by column, with each compression.
CREATE TABLE sales.ao_row (id int, v text) WITH (appendonly=true) DISTRIBUTED BY (id);
CREATE TABLE sales.ao_row_zlib (id int, v text) WITH (appendonly=true, compresstype=zlib, compresslevel=5, blocksize=65536) DISTRIBUTED BY (id);
CREATE TABLE sales.ao_row_zstd (id int, v text) WITH (appendonly=true, compresstype=zstd, compresslevel=3, checksum=false) DISTRIBUTED BY (id);
CREATE TABLE sales.ao_col (id int, v text) WITH (appendonly=true, orientation=column) DISTRIBUTED BY (id);
CREATE TABLE sales.ao_col_zlib (id int, v text) WITH (appendonly=true, orientation=column, compresstype=zlib) DISTRIBUTED RANDOMLY;
CREATE TABLE sales.ao_col_mixed (
	id int ENCODING (compresstype=rle_type, compresslevel=2), v text DEFAULT 'ENCODING (x)' ENCODING (compresstype=zstd, compresslevel=3, blocksize=65536),
	n numeric(10,2) DEFAULT 1.5 NOT NULL ENCODING (compresstype=zlib, compresslevel=1), f double precision
) WITH (appendonly=true, orientation=column) DISTRIBUTED BY (id);
INSERT INTO sales.ao_row SELECT i, 'row ' || i FROM generate_series(1, 40) i;
INSERT INTO sales.ao_row_zlib SELECT * FROM sales.ao_row;
INSERT INTO sales.ao_row_zstd SELECT * FROM sales.ao_row;
INSERT INTO sales.ao_col SELECT * FROM sales.ao_row;
INSERT INTO sales.ao_col_zlib SELECT * FROM sales.ao_row;
INSERT INTO sales.ao_col_mixed SELECT i, 'row ' || i, i, i / 3.0 FROM generate_series(1, 40) i;
DELETE FROM sales.ao_row WHERE id % 10 = 0;
UPDATE sales.ao_col SET v = v || ' updated' WHERE id < 5;

-- Partitioned.
CREATE TABLE sales.part_range (id int, d date NOT NULL, amount numeric) DISTRIBUTED BY (id)
	PARTITION BY RANGE (d) (START (date '2024-01-01') INCLUSIVE END (date '2024-05-01') EXCLUSIVE EVERY (interval '1 month'), DEFAULT PARTITION other);
INSERT INTO sales.part_range SELECT i, date '2024-01-01' + i, i * 1.5 FROM generate_series(1, 200) i;
CREATE INDEX part_range_d ON sales.part_range (d);
CREATE TABLE sales.part_list (id int, region text, v text, CONSTRAINT part_list_pkey PRIMARY KEY (id, region)) DISTRIBUTED BY (id)
	PARTITION BY LIST (region) (PARTITION east VALUES ('de', 'pl'), PARTITION west VALUES ('fr'), PARTITION "odd name" VALUES ('it''s, (x)'));
INSERT INTO sales.part_list SELECT i, (ARRAY['de', 'pl', 'fr', 'it''s, (x)'])[1 + i % 4], 'v' || i FROM generate_series(1, 40) i;
CREATE TABLE sales.part_two_levels (id int, d date, region text) WITH (appendonly=true, orientation=column, compresstype=zstd) DISTRIBUTED BY (id)
	PARTITION BY RANGE (d) SUBPARTITION BY LIST (region)
	SUBPARTITION TEMPLATE (SUBPARTITION e VALUES ('e'), SUBPARTITION w VALUES ('w'), DEFAULT SUBPARTITION o)
	(START (date '2024-01-01') INCLUSIVE END (date '2024-07-01') EXCLUSIVE EVERY (interval '3 month'), DEFAULT PARTITION dflt);
INSERT INTO sales.part_two_levels SELECT i, date '2024-01-01' + i % 300, (ARRAY['e', 'w', 'x'])[1 + i % 3] FROM generate_series(1, 300) i;
CREATE TABLE sales.part_three_levels (id int, y int, m int, region text) DISTRIBUTED BY (id)
	PARTITION BY RANGE (y)
		SUBPARTITION BY RANGE (m) SUBPARTITION TEMPLATE (START (1) END (13) EVERY (6))
		SUBPARTITION BY LIST (region) SUBPARTITION TEMPLATE (SUBPARTITION usa VALUES ('usa'), DEFAULT SUBPARTITION other)
	(START (2023) END (2025) EVERY (1));
INSERT INTO sales.part_three_levels SELECT i, 2023 + i % 2, 1 + i % 12, (ARRAY['usa', 'asia'])[1 + i % 2] FROM generate_series(1, 60) i;
-- Storage differs by partition; one of them was made apart and exchanged.
CREATE TABLE sales.part_mixed (id int, d int) DISTRIBUTED BY (id) PARTITION BY RANGE (d)
	(PARTITION cold START (0) END (10) WITH (appendonly=true, orientation=column, compresstype=zlib), PARTITION hot START (10) END (20));
INSERT INTO sales.part_mixed SELECT i, i % 20 FROM generate_series(1, 60) i;
ALTER TABLE sales.part_mixed ADD PARTITION hotter START (20) END (30) WITH (appendonly=true);
INSERT INTO sales.part_mixed SELECT i, 20 + i % 10 FROM generate_series(61, 90) i;
-- What declarative partitioning can't say in the same way.
CREATE TABLE sales.part_bounds (id int, n int) DISTRIBUTED BY (id) PARTITION BY RANGE (n)
	(PARTITION a START (0) EXCLUSIVE END (10) INCLUSIVE, PARTITION b START (10) EXCLUSIVE END (20) INCLUSIVE, PARTITION gap START (30) END (40));
INSERT INTO sales.part_bounds SELECT i, i FROM generate_series(1, 20) i;
CREATE TABLE sales.part_numeric (id int, n numeric) DISTRIBUTED BY (id) PARTITION BY RANGE (n)
	(PARTITION a START (0) EXCLUSIVE END (10) INCLUSIVE, PARTITION b START (10) EXCLUSIVE END (20.5) INCLUSIVE);
INSERT INTO sales.part_numeric SELECT i, i FROM generate_series(1, 20) i;
CREATE TABLE sales.part_nullable (id int, kind text) DISTRIBUTED BY (id) PARTITION BY LIST (kind)
	(PARTITION known VALUES ('a', 'b'), PARTITION none VALUES (NULL), DEFAULT PARTITION rest);
INSERT INTO sales.part_nullable SELECT i, (ARRAY['a', 'b', NULL, 'z'])[1 + i % 4] FROM generate_series(1, 40) i;
CREATE TABLE sales.part_multi (id int, a int, b text) DISTRIBUTED BY (id) PARTITION BY LIST (a, b)
	(PARTITION one VALUES ((1, 'x'), (1, 'y')), PARTITION two VALUES ((2, 'x')));
INSERT INTO sales.part_multi SELECT i, 1, 'x' FROM generate_series(1, 10) i;

-- Inherited.
CREATE TABLE sales.parent (id int, v text) DISTRIBUTED BY (id);
CREATE TABLE sales.child (extra int) INHERITS (sales.parent) DISTRIBUTED BY (id);
INSERT INTO sales.parent VALUES (1, 'p');
INSERT INTO sales.child VALUES (2, 'c', 20);

-- External and foreign.
CREATE EXTERNAL WEB TABLE sales.ext_web (line text) EXECUTE 'hostname' ON ALL FORMAT 'TEXT' (DELIMITER 'OFF');
CREATE WRITABLE EXTERNAL WEB TABLE sales.ext_out (a int, b text) EXECUTE 'cat > /dev/null' FORMAT 'CSV' DISTRIBUTED BY (a);
CREATE EXTERNAL TABLE sales.ext_file (a int, b text) LOCATION ('gpfdist://localhost:8081/none.csv') FORMAT 'CSV' (HEADER)
	LOG ERRORS SEGMENT REJECT LIMIT 5;
COMMENT ON TABLE sales.ext_file IS 'read by nobody';
GRANT SELECT ON sales.ext_file TO gpkinds_reader;
CREATE VIEW sales.ext_view AS SELECT a FROM sales.ext_file;
CREATE FOREIGN DATA WRAPPER nothing_fdw;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing_fdw OPTIONS (host 'nowhere.invalid');
CREATE USER MAPPING FOR gpkinds_reader SERVER nowhere OPTIONS ("user" 'x');
CREATE FOREIGN TABLE sales.foreign_table (a int, b text) SERVER nowhere OPTIONS (table_name 'DISTRIBUTED BY (a)');

-- Indexes, triggers, rules, views.
CREATE INDEX heap_hash_name ON sales.heap_hash (lower(name)) WHERE name <> 'USING bitmap (x)';
CREATE INDEX heap_hash_bitmap ON sales.heap_hash USING bitmap (name);
CREATE INDEX ao_col_bitmap ON sales.ao_col USING bitmap (v);
CREATE TRIGGER touch BEFORE INSERT ON sales.heap_two_keys FOR EACH ROW EXECUTE PROCEDURE sales.touch();
ALTER TABLE sales.heap_two_keys DISABLE TRIGGER touch;
ALTER TABLE sales.heap_two_keys ADD COLUMN note text;
ALTER TABLE sales.heap_two_keys ENABLE TRIGGER touch;
CREATE VIEW sales.big AS SELECT id, name FROM sales.heap_hash WHERE amount > 50;
CREATE MATERIALIZED VIEW sales.by_region AS SELECT region, count(*) AS n FROM sales.part_list GROUP BY region DISTRIBUTED BY (region);
CREATE MATERIALIZED VIEW sales.ao_matview WITH (appendonly=true) AS SELECT id FROM sales.heap_hash DISTRIBUTED RANDOMLY;
CREATE RULE keep AS ON DELETE TO sales.empty DO INSTEAD NOTHING;

-- Comments and rights.
COMMENT ON TABLE sales.heap_hash IS 'a comment; DISTRIBUTED BY (id) -- and /* more';
COMMENT ON COLUMN sales.heap_hash.name IS 'WITH (appendonly=true)';
COMMENT ON TABLE sales.part_range IS 'partitioned';
GRANT SELECT ON sales.heap_hash, sales.part_range, sales.big TO gpkinds_reader;
GRANT UPDATE (name) ON sales.heap_hash TO gpkinds_reader;
