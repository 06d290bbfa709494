-- The main kinds of Greenplum's tables with many rows each: ROWS stands for their number. Run it in an empty database.

SET client_min_messages = warning;
CREATE SCHEMA big;
CREATE TYPE big.color AS ENUM ('red', 'green', 'blue');

-- Heap, by distribution.
CREATE TABLE big.heap_hash (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2), at timestamp, note varchar(40)) DISTRIBUTED BY (id);
INSERT INTO big.heap_hash
	SELECT i, 'name ' || i, (i % 100000) * 1.25, timestamp '2020-01-01' + i * interval '7 seconds', CASE WHEN i % 5 > 0 THEN repeat('n', i % 40) END
	FROM generate_series(1, ROWS) i;
CREATE TABLE big.heap_random (LIKE big.heap_hash) DISTRIBUTED RANDOMLY;
INSERT INTO big.heap_random SELECT * FROM big.heap_hash;
CREATE TABLE big.heap_replicated (LIKE big.heap_hash) DISTRIBUTED REPLICATED;
INSERT INTO big.heap_replicated SELECT * FROM big.heap_hash;
CREATE TABLE big.heap_keys (a int, b text, c date, d numeric) DISTRIBUTED BY (c, b, d);
INSERT INTO big.heap_keys SELECT i, 'k' || i % 1000, date '2020-01-01' + i % 3000, i / 7.0 FROM generate_series(1, ROWS) i;

-- Values that need care: floats in all places, arrays, times, bytes, and every character that COPY escapes.
CREATE TABLE big.values_of_types (
	id int, f double precision, r real, fs double precision[], n numeric, at timestamptz, iv interval, ints int[], texts text[], bytes bytea, t text, c char(9), ok boolean
) DISTRIBUTED BY (id);
INSERT INTO big.values_of_types SELECT i, i / 3.0, (i / 7.0)::real, ARRAY[i / 9.0::double precision, NULL, i * 1e290::double precision, 'Infinity', 'NaN'], i / 11.0,
	timestamptz '1999-12-31 23:59:59.123456+00' + i * interval '1 minute 0.000123 second', i * interval '3 minutes 1.5 seconds',
	ARRAY[i, NULL, -i], ARRAY['a "quoted"', NULL, '', E'back\\slash, comma', E'tab\t'], decode(md5(i::text) || '00ff5c', 'hex'),
	E'tab\t newline\n return\r backslash\\ formfeed\f backspace\b vertical\x0b delete\x7f \\N \\. ä€𝄞 ''"' || i, 'c' || i % 1000, i % 3 = 0
	FROM generate_series(1, ROWS) i;
INSERT INTO big.values_of_types (id, f, r, t) VALUES (-1, 'NaN', 'NaN', '\N'), (-2, '-Infinity', 'Infinity', '\.'), (-3, '-0', '-0', ''),
	(-4, 1e-307, 1e-37, NULL), (-5, 0.1, 0.1, E'\\'), (-6, 1.7976931348623157e308, 3.4028235e38, E'\n'), (-7, 5e-324, 1.4e-45, E'\t');

-- Keys of other types, which hash in other ways; of an enum they do so in each database.
CREATE TABLE big.key_text (k text, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_char (k char(20), v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_numeric (k numeric, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_float (k double precision, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_bytes (k bytea, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_time (k timestamptz, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_bool (k boolean, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_enum (k big.color, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_array (k int[], v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_uuid (k uuid, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_inet (k inet, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_oid (k oid, v int) DISTRIBUTED BY (k);
CREATE TABLE big.key_cdbhash (k text, v int) DISTRIBUTED BY (k cdbhash_text_ops);
INSERT INTO big.key_text SELECT CASE WHEN i % 10 > 0 THEN 'k' || i END, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_char SELECT 'k' || i, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_numeric SELECT i / 3.0, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_float SELECT i / 3.0::double precision, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_bytes SELECT decode(md5(i::text), 'hex'), i FROM generate_series(1, 1000) i;
INSERT INTO big.key_time SELECT timestamptz '2020-01-01 00:00:00+00' + i * interval '1 hour', i FROM generate_series(1, 1000) i;
INSERT INTO big.key_bool SELECT i % 2 = 0, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_enum SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3]::big.color, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_array SELECT ARRAY[i, i % 7], i FROM generate_series(1, 1000) i;
INSERT INTO big.key_uuid SELECT md5(i::text)::uuid, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_inet SELECT ('10.0.' || i % 200 || '.' || i % 250)::inet, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_oid SELECT i::oid, i FROM generate_series(1, 1000) i;
INSERT INTO big.key_cdbhash SELECT 'k' || i, i FROM generate_series(1, 1000) i;

-- Append-optimized, with rows that were updated and deleted.
CREATE TABLE big.ao_row (LIKE big.heap_hash) WITH (appendonly=true) DISTRIBUTED BY (id);
CREATE TABLE big.ao_row_zlib (LIKE big.heap_hash) WITH (appendonly=true, compresstype=zlib, compresslevel=5) DISTRIBUTED BY (id);
CREATE TABLE big.ao_row_zstd (LIKE big.heap_hash) WITH (appendonly=true, compresstype=zstd) DISTRIBUTED RANDOMLY;
CREATE TABLE big.ao_column (LIKE big.heap_hash) WITH (appendonly=true, orientation=column) DISTRIBUTED BY (name);
CREATE TABLE big.ao_column_zlib (LIKE big.heap_hash) WITH (appendonly=true, orientation=column, compresstype=zlib) DISTRIBUTED BY (id);
CREATE TABLE big.ao_column_zstd (LIKE big.heap_hash) WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=3) DISTRIBUTED BY (id);
CREATE TABLE big.ao_column_rle (id bigint, grp int, at date) WITH (appendonly=true, orientation=column, compresstype=rle_type, compresslevel=2) DISTRIBUTED BY (id);
INSERT INTO big.ao_row SELECT * FROM big.heap_hash;
INSERT INTO big.ao_row_zlib SELECT * FROM big.heap_hash;
INSERT INTO big.ao_row_zstd SELECT * FROM big.heap_hash;
INSERT INTO big.ao_column SELECT * FROM big.heap_hash;
INSERT INTO big.ao_column_zlib SELECT * FROM big.heap_hash;
INSERT INTO big.ao_column_zstd SELECT * FROM big.heap_hash;
INSERT INTO big.ao_column_rle SELECT i, i / 1000, date '2020-01-01' + i / 10000 FROM generate_series(1, ROWS) i;
UPDATE big.ao_row SET note = 'updated' WHERE id % 100 = 0;
DELETE FROM big.ao_row WHERE id % 101 = 0;
UPDATE big.ao_column SET note = 'updated' WHERE id % 100 = 0;
DELETE FROM big.ao_column WHERE id % 101 = 0;
DELETE FROM big.heap_random WHERE id % 101 = 0;

-- Partitioned: leaves of one storage, and of several.
CREATE TABLE big.part_range (id bigint, d date NOT NULL, v text) DISTRIBUTED BY (id)
	PARTITION BY RANGE (d) (START (date '2020-01-01') END (date '2021-01-01') EVERY (interval '1 month'), DEFAULT PARTITION other);
INSERT INTO big.part_range SELECT i, date '2019-12-01' + i % 420, 'v' || i FROM generate_series(1, ROWS) i;
CREATE TABLE big.part_list (id bigint, region text, v text) WITH (appendonly=true, compresstype=zlib) DISTRIBUTED BY (id)
	PARTITION BY LIST (region) (PARTITION east VALUES ('a', 'b'), PARTITION west VALUES ('c'), DEFAULT PARTITION other);
INSERT INTO big.part_list SELECT i, (ARRAY['a', 'b', 'c', 'd', NULL])[1 + i % 5], 'v' || i FROM generate_series(1, ROWS) i;
CREATE TABLE big.part_two_levels (id bigint, d date, region text, f double precision) DISTRIBUTED BY (id)
	PARTITION BY RANGE (d) SUBPARTITION BY LIST (region)
	SUBPARTITION TEMPLATE (
		SUBPARTITION e VALUES ('e'), SUBPARTITION w VALUES ('w') WITH (appendonly=true, orientation=column, compresstype=zstd),
		DEFAULT SUBPARTITION o WITH (appendonly=true, compresstype=zlib))
	(START (date '2020-01-01') END (date '2021-01-01') EVERY (interval '3 month'), DEFAULT PARTITION rest);
INSERT INTO big.part_two_levels SELECT i, date '2020-01-01' + i % 400, (ARRAY['e', 'w', 'x'])[1 + i % 3], i / 3.0 FROM generate_series(1, ROWS) i;

-- Inherited.
CREATE TABLE big.parent (id bigint, v text) DISTRIBUTED BY (id);
CREATE TABLE big.child (extra real) INHERITS (big.parent) DISTRIBUTED BY (id);
INSERT INTO big.parent SELECT i, 'parent ' || i FROM generate_series(1, ROWS / 10) i;
INSERT INTO big.child SELECT i, 'child ' || i, i / 7.0 FROM generate_series(1, ROWS / 10) i;

-- With dropped columns, and one added later.
CREATE TABLE big.altered (a int, gone text, id int, v text) DISTRIBUTED BY (id);
INSERT INTO big.altered SELECT i, 'gone', i, 'v' || i FROM generate_series(1, 1000) i;
ALTER TABLE big.altered DROP COLUMN gone;
ALTER TABLE big.altered ADD COLUMN late int DEFAULT 7;
