-- A database with every kind of object that pg_dump knows, and with the values that break dumps.
--
--   psql -X -v ON_ERROR_STOP=1 -d EMPTY_UTF8_DATABASE -f testdata/allkinds.sql
--
-- Needs a superuser, PostgreSQL 13 to 18 with its contrib modules, and a psql of version 14 or later. It takes a
-- few seconds and may be loaded into any number of databases of one cluster, also at the same time. What is
-- missing from older servers is left out by \if. The values are constants or come from arithmetic on
-- generate_series, so that every load gives the same rows.
--
-- What it makes outside of the database: roles and a tablespace whose names begin with pgark_.
--
-- Left out, and why: security labels need a label provider, and contrib's only one needs SELinux.
-- A subscription would keep the database from being dropped: it is in subscription.sql.

\set QUIET on
\encoding UTF8
SET client_min_messages = error;
SET standard_conforming_strings = on;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
SET search_path = '';

SELECT :SERVER_VERSION_NUM >= 140000 AS v14,
       :SERVER_VERSION_NUM >= 150000 AS v15,
       :SERVER_VERSION_NUM >= 160000 AS v16,
       :SERVER_VERSION_NUM >= 170000 AS v17,
       :SERVER_VERSION_NUM >= 180000 AS v18 \gset

-- Builds differ in these.
SELECT EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu') AS has_icu,
       EXISTS (SELECT FROM pg_catalog.pg_settings
               WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) AS has_lz4,
       EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'hstore') AS has_contrib,
       EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'allow_in_place_tablespaces') AS has_tablespace
\gset

------------------------------------------------------------------------------------------------------------
-- Shared objects
------------------------------------------------------------------------------------------------------------

-- The lock on a catalog that all databases share makes loads that run at the same time wait for each other here.
BEGIN;
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['pgark_owner', 'pgark_reader', 'pgark_writer', 'pgark_grantor',
                                'pgark_Odd "role", ü']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
            EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', name, 'made by testdata/allkinds.sql');
        END IF;
    END LOOP;
END
$$;
COMMIT;

\if :has_tablespace
SET allow_in_place_tablespaces = on;
-- CREATE TABLESPACE can't run in a block; whoever comes second finds it there.
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = 'pgark_space') AS make_tablespace \gset
\if :make_tablespace
\set ON_ERROR_STOP off
\o /dev/null
\set VERBOSITY sqlstate
CREATE TABLESPACE pgark_space LOCATION '';
\set VERBOSITY default
\o
\set ON_ERROR_STOP on
\endif
BEGIN;
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
GRANT CREATE ON TABLESPACE pgark_space TO pgark_owner;
COMMIT;
\endif

------------------------------------------------------------------------------------------------------------
-- The database itself
------------------------------------------------------------------------------------------------------------

COMMENT ON DATABASE :"DBNAME" IS 'every kind of object';
ALTER DATABASE :"DBNAME" SET work_mem = '5MB';
ALTER DATABASE :"DBNAME" SET "pgark.note" = 'it''s a "note", with \backslash';
ALTER ROLE pgark_reader IN DATABASE :"DBNAME" SET statement_timeout = '1h';
ALTER ROLE "pgark_Odd ""role"", ü" IN DATABASE :"DBNAME" SET DateStyle = 'German';
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO pgark_reader;
GRANT CREATE ON DATABASE :"DBNAME" TO pgark_owner WITH GRANT OPTION;

COMMENT ON SCHEMA public IS 'the public schema, with a comment of its own';
GRANT USAGE, CREATE ON SCHEMA public TO pgark_writer;

-- Rights on the system's own objects are dumped where they differ from initdb's.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text) TO pgark_reader;
GRANT SELECT (rolname) ON pg_catalog.pg_authid TO pgark_reader;

------------------------------------------------------------------------------------------------------------
-- Schemas, extensions, languages
------------------------------------------------------------------------------------------------------------

CREATE SCHEMA kinds;
CREATE SCHEMA owned AUTHORIZATION pgark_owner;
CREATE SCHEMA "with.dot, ""quotes"" and ünïcödé \ ";
CREATE SCHEMA "UPPER";
CREATE SCHEMA "select";
CREATE SCHEMA ext;
CREATE SCHEMA empty;
COMMENT ON SCHEMA kinds IS E'line one\nline two\n\\.\n''quoted'' "double" ünï';
GRANT USAGE ON SCHEMA kinds TO pgark_reader, pgark_writer;
GRANT ALL ON SCHEMA owned TO pgark_grantor WITH GRANT OPTION;
SET ROLE pgark_grantor;
GRANT USAGE ON SCHEMA owned TO pgark_reader;
RESET ROLE;

\if :has_contrib
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA ext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION file_fdw SCHEMA ext;
CREATE EXTENSION postgres_fdw SCHEMA ext;
CREATE EXTENSION unaccent SCHEMA ext;
COMMENT ON EXTENSION hstore IS 'a comment other than the control file''s';
-- Rights on a member of an extension are dumped where they differ from its script's.
REVOKE ALL ON FUNCTION ext.akeys(ext.hstore) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ext.akeys(ext.hstore) TO pgark_writer;
\endif

CREATE FUNCTION kinds.lang_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION kinds.lang_inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION kinds.lang_validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE pgark_lang HANDLER kinds.lang_handler INLINE kinds.lang_inline VALIDATOR kinds.lang_validator;
ALTER LANGUAGE pgark_lang OWNER TO pgark_owner;
COMMENT ON LANGUAGE pgark_lang IS 'PL/pgSQL by another name';
REVOKE ALL ON LANGUAGE pgark_lang FROM PUBLIC;
GRANT USAGE ON LANGUAGE pgark_lang TO pgark_writer;

CREATE ACCESS METHOD pgark_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD pgark_btree TYPE INDEX HANDLER bthandler;
COMMENT ON ACCESS METHOD pgark_heap IS 'heap by another name';

------------------------------------------------------------------------------------------------------------
-- Types
------------------------------------------------------------------------------------------------------------

CREATE TYPE kinds.colour AS ENUM ('red', 'Green', 'light blue', 'it''s "odd"', 'ünï', E'new\nline');
ALTER TYPE kinds.colour ADD VALUE 'orange' AFTER 'red';
CREATE TYPE kinds.no_values AS ENUM ();
ALTER TYPE kinds.colour OWNER TO pgark_owner;
REVOKE USAGE ON TYPE kinds.colour FROM PUBLIC;
GRANT USAGE ON TYPE kinds.colour TO pgark_reader WITH GRANT OPTION;
COMMENT ON TYPE kinds.colour IS 'an enum';

CREATE TYPE kinds.point3 AS (x double precision, y double precision, "Z z" numeric(20,5));
COMMENT ON TYPE kinds.point3 IS 'a composite';
COMMENT ON COLUMN kinds.point3."Z z" IS 'a column of a composite';
CREATE TYPE kinds.segment3 AS (a kinds.point3, b kinds.point3, tags text[], c kinds.colour);
CREATE TYPE kinds.no_attributes AS ();
CREATE TYPE kinds.shell;
COMMENT ON TYPE kinds.shell IS 'a shell type';

CREATE TYPE kinds.word;
CREATE FUNCTION kinds.word_in(cstring) RETURNS kinds.word LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textin';
CREATE FUNCTION kinds.word_out(kinds.word) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
CREATE FUNCTION kinds.word_recv(internal) RETURNS kinds.word LANGUAGE internal STABLE STRICT PARALLEL SAFE AS 'textrecv';
CREATE FUNCTION kinds.word_send(kinds.word) RETURNS bytea LANGUAGE internal STABLE STRICT PARALLEL SAFE AS 'textsend';
CREATE TYPE kinds.word (
    INPUT = kinds.word_in, OUTPUT = kinds.word_out, RECEIVE = kinds.word_recv, SEND = kinds.word_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = extended, CATEGORY = 'S', DEFAULT = 'a word',
    DELIMITER = ';', COLLATABLE = true
);
COMMENT ON TYPE kinds.word IS 'a base type';

CREATE FUNCTION kinds.is_odd(integer) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT $1 % 2 = 1';
CREATE DOMAIN kinds.odd AS integer DEFAULT 1 CONSTRAINT is_odd CHECK (kinds.is_odd(VALUE)) CONSTRAINT small CHECK (VALUE < 1000);
CREATE DOMAIN kinds.short_text AS varchar(40) COLLATE "C" NOT NULL DEFAULT 'it''s';
CREATE DOMAIN kinds.odd_positive AS kinds.odd CHECK (VALUE > 0);
CREATE DOMAIN kinds.colours AS kinds.colour[] CHECK (pg_catalog.array_length(VALUE, 1) < 10);
CREATE DOMAIN kinds.upper_right AS kinds.point3 CHECK ((VALUE).x >= 0 AND (VALUE).y >= 0);
ALTER DOMAIN kinds.odd ADD CONSTRAINT not_nine CHECK (VALUE <> 9) NOT VALID;
COMMENT ON DOMAIN kinds.odd IS 'a domain';
COMMENT ON CONSTRAINT small ON DOMAIN kinds.odd IS 'a domain''s constraint';
GRANT USAGE ON TYPE kinds.odd TO pgark_reader;

CREATE FUNCTION kinds.float_distance(double precision, double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT $1 - $2';
CREATE TYPE kinds.floats AS RANGE (SUBTYPE = double precision, SUBTYPE_DIFF = kinds.float_distance);
CREATE TYPE kinds.texts AS RANGE (SUBTYPE = text, COLLATION = "C");
COMMENT ON TYPE kinds.floats IS 'a range';
\if :v14
CREATE TYPE kinds.dates AS RANGE (SUBTYPE = date, MULTIRANGE_TYPE_NAME = kinds.many_dates);
\endif

------------------------------------------------------------------------------------------------------------
-- Collations, conversions, casts, transforms, text search
------------------------------------------------------------------------------------------------------------

CREATE COLLATION kinds.plain FROM "C";
COMMENT ON COLLATION kinds.plain IS 'a collation';
ALTER COLLATION kinds.plain OWNER TO pgark_owner;
\if :has_icu
CREATE COLLATION kinds.any_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION kinds.phone_book (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
\endif
\if :v17
CREATE COLLATION kinds.built_in (PROVIDER = builtin, LOCALE = 'C.UTF-8');
\endif

CREATE CONVERSION kinds.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION kinds.latin_default FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
COMMENT ON CONVERSION kinds.latin IS 'a conversion';

CREATE FUNCTION kinds.to_colour(integer) RETURNS kinds.colour LANGUAGE sql IMMUTABLE STRICT
    AS $$SELECT (ARRAY['red', 'Green', 'light blue'])[$1]::kinds.colour$$;
CREATE CAST (integer AS kinds.colour) WITH FUNCTION kinds.to_colour(integer) AS ASSIGNMENT;
CREATE CAST (kinds.word AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS kinds.word) WITHOUT FUNCTION;
CREATE CAST (kinds.point3 AS text) WITH INOUT;
COMMENT ON CAST (integer AS kinds.colour) IS 'a cast';

-- A transform's functions only need the right signature; these are never called.
CREATE TRANSFORM FOR bigint LANGUAGE sql (
    FROM SQL WITH FUNCTION pg_catalog.prsd_lextype(internal), TO SQL WITH FUNCTION pg_catalog.int8recv(internal));
COMMENT ON TRANSFORM FOR bigint LANGUAGE sql IS 'a transform';

CREATE TEXT SEARCH PARSER kinds.parser (
    START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, HEADLINE = prsd_headline, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE kinds.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY kinds.dictionary (TEMPLATE = kinds.template, ACCEPT = false);
CREATE TEXT SEARCH DICTIONARY kinds."Stem it" (TEMPLATE = pg_catalog.snowball, LANGUAGE = english, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION kinds.config (PARSER = kinds.parser);
ALTER TEXT SEARCH CONFIGURATION kinds.config ADD MAPPING FOR asciiword, word WITH kinds.dictionary, kinds."Stem it";
ALTER TEXT SEARCH CONFIGURATION kinds.config ADD MAPPING FOR email, url, int WITH pg_catalog.simple;
CREATE TEXT SEARCH CONFIGURATION kinds.copied (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION kinds.config OWNER TO pgark_owner;
COMMENT ON TEXT SEARCH PARSER kinds.parser IS 'a parser';
COMMENT ON TEXT SEARCH TEMPLATE kinds.template IS 'a template';
COMMENT ON TEXT SEARCH DICTIONARY kinds.dictionary IS 'a dictionary';
COMMENT ON TEXT SEARCH CONFIGURATION kinds.config IS 'a configuration';

------------------------------------------------------------------------------------------------------------
-- Functions, procedures, aggregates, operators
------------------------------------------------------------------------------------------------------------

CREATE FUNCTION kinds.in_sql(a integer, b text DEFAULT 'b''s', VARIADIC c numeric[] DEFAULT ARRAY[]::numeric[])
    RETURNS text LANGUAGE sql STABLE COST 7 SECURITY DEFINER SET search_path = pg_catalog SET work_mem = '1MB'
    AS $_$SELECT a || b || array_length(c, 1) || '$$ \ '$_$;
CREATE FUNCTION kinds.in_plpgsql(INOUT a integer, OUT b text) RETURNS SETOF record LANGUAGE plpgsql ROWS 3 AS $body$
BEGIN
    -- a comment with ; and 'quotes' and \. and
    --
    a := a + 1;
    b := E'tab\there';
    RETURN NEXT;
END
$body$;
CREATE FUNCTION kinds.in_pgark_lang() RETURNS integer LANGUAGE pgark_lang AS 'BEGIN RETURN 42; END';
CREATE FUNCTION kinds.gives_table(n integer) RETURNS TABLE (id integer, "Odd name" text) LANGUAGE sql
    AS 'SELECT i, i::text FROM pg_catalog.generate_series(1, n) i';
CREATE FUNCTION kinds."Odd ""name"", (with) ünï"("Arg one" integer) RETURNS integer LANGUAGE sql LEAKPROOF AS 'SELECT 1';
CREATE FUNCTION kinds.row_number_too() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE AS 'window_row_number';
CREATE FUNCTION kinds.first_of(anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $1[1]';
\if :v14
CREATE FUNCTION kinds.atomic(a integer, b integer DEFAULT 3) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN a + b;
CREATE PROCEDURE kinds.with_out(IN a integer, OUT b integer) LANGUAGE plpgsql AS 'BEGIN b := a; END';
\endif
CREATE PROCEDURE kinds.old_style(a integer, INOUT b text) LANGUAGE plpgsql AS 'BEGIN b := b || a; END';
ALTER FUNCTION kinds.in_plpgsql(integer) OWNER TO pgark_owner;
REVOKE ALL ON FUNCTION kinds.in_sql(integer, text, numeric[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kinds.in_sql(integer, text, numeric[]) TO pgark_reader;
GRANT EXECUTE ON PROCEDURE kinds.old_style(integer, text) TO "pgark_Odd ""role"", ü";
COMMENT ON FUNCTION kinds.in_sql(integer, text, numeric[]) IS 'a function';
COMMENT ON PROCEDURE kinds.old_style(integer, text) IS 'a procedure';

CREATE FUNCTION kinds.sum_step(bigint, integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT $1 + coalesce($2, 0)';
CREATE AGGREGATE kinds.total(integer) (
    SFUNC = kinds.sum_step, STYPE = bigint, INITCOND = '0', COMBINEFUNC = pg_catalog.int8pl,
    MSFUNC = kinds.sum_step, MINVFUNC = kinds.sum_step, MSTYPE = bigint, MINITCOND = '0', PARALLEL = safe);
CREATE AGGREGATE kinds.percentile(double precision ORDER BY anyelement) (
    SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE AGGREGATE kinds.ranked(VARIADIC "any" ORDER BY VARIADIC "any") (
    SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE kinds.how_many(*) (SFUNC = pg_catalog.int8inc, STYPE = bigint, INITCOND = '0');
CREATE AGGREGATE kinds.least_int(integer) (SFUNC = pg_catalog.int4smaller, STYPE = integer, SORTOP = OPERATOR(pg_catalog.<));
GRANT EXECUTE ON FUNCTION kinds.total(integer) TO pgark_reader;
COMMENT ON AGGREGATE kinds.total(integer) IS 'an aggregate';

CREATE FUNCTION kinds.odd_eq(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 % 2 = $2 % 2';
CREATE FUNCTION kinds.odd_ne(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 % 2 <> $2 % 2';
CREATE FUNCTION kinds.odd_hash(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 % 2';
CREATE FUNCTION kinds.not_odd(integer) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 % 2 = 0';
CREATE FUNCTION kinds.abs_compare(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT pg_catalog.btint4cmp(abs($1), abs($2))';
CREATE OPERATOR kinds.=%= (FUNCTION = kinds.odd_eq, LEFTARG = integer, RIGHTARG = integer, COMMUTATOR = OPERATOR(kinds.=%=),
    NEGATOR = OPERATOR(kinds.<%>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES);
CREATE OPERATOR kinds.<%> (FUNCTION = kinds.odd_ne, LEFTARG = integer, RIGHTARG = integer, COMMUTATOR = OPERATOR(kinds.<%>),
    NEGATOR = OPERATOR(kinds.=%=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR kinds.!% (FUNCTION = kinds.not_odd, RIGHTARG = integer);
COMMENT ON OPERATOR kinds.=%= (integer, integer) IS 'an operator';
COMMENT ON OPERATOR kinds.!% (NONE, integer) IS 'a prefix operator';

CREATE OPERATOR FAMILY kinds.odd_family USING hash;
CREATE OPERATOR CLASS kinds.odd_class FOR TYPE integer USING hash FAMILY kinds.odd_family AS
    OPERATOR 1 kinds.=%=, FUNCTION 1 kinds.odd_hash(integer);
CREATE OPERATOR CLASS kinds.abs_class FOR TYPE integer USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 kinds.abs_compare(integer, integer);
CREATE OPERATOR CLASS kinds.int_class DEFAULT FOR TYPE integer USING pgark_btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 pg_catalog.btint4cmp(integer, integer);
CREATE OPERATOR FAMILY kinds.loose USING btree;
ALTER OPERATOR FAMILY kinds.loose USING btree ADD
    OPERATOR 1 < (integer, bigint), OPERATOR 2 <= (integer, bigint), OPERATOR 3 = (integer, bigint),
    OPERATOR 4 >= (integer, bigint), OPERATOR 5 > (integer, bigint), FUNCTION 1 (integer, bigint) pg_catalog.btint48cmp(integer, bigint);
ALTER OPERATOR FAMILY kinds.loose USING btree OWNER TO pgark_owner;
COMMENT ON OPERATOR CLASS kinds.odd_class USING hash IS 'an operator class';
COMMENT ON OPERATOR FAMILY kinds.loose USING btree IS 'an operator family';

------------------------------------------------------------------------------------------------------------
-- Sequences
------------------------------------------------------------------------------------------------------------

CREATE SEQUENCE kinds.plain_seq;
CREATE SEQUENCE kinds.used_seq AS integer INCREMENT 3 MINVALUE 2 MAXVALUE 1000 START 5 CACHE 1;
CREATE SEQUENCE kinds.down_seq AS smallint INCREMENT -2 MAXVALUE 10 MINVALUE -100 START 9 CYCLE;
CREATE SEQUENCE kinds.cached_seq CACHE 20;
CREATE SEQUENCE kinds.not_called_seq;
CREATE SEQUENCE kinds."Odd seq ""x""" START 9223372036854775806;
SELECT pg_catalog.nextval('kinds.used_seq'), pg_catalog.nextval('kinds.used_seq') \g /dev/null
SELECT pg_catalog.nextval('kinds.down_seq'), pg_catalog.nextval('kinds."Odd seq ""x"""') \g /dev/null
SELECT pg_catalog.setval('kinds.not_called_seq', 77, false) \g /dev/null
ALTER SEQUENCE kinds.used_seq OWNER TO pgark_owner;
GRANT USAGE, UPDATE ON SEQUENCE kinds.used_seq TO pgark_writer;
COMMENT ON SEQUENCE kinds.used_seq IS 'a sequence';
\if :v15
CREATE UNLOGGED SEQUENCE kinds.unlogged_seq;
SELECT pg_catalog.setval('kinds.unlogged_seq', 12) \g /dev/null
\endif

------------------------------------------------------------------------------------------------------------
-- Tables: values
------------------------------------------------------------------------------------------------------------

CREATE TABLE kinds.all_types (
    id integer PRIMARY KEY,
    bool boolean, i2 smallint, i4 integer, i8 bigint, num numeric, num_scaled numeric(30,10), f4 real, f8 double precision,
    cash money, txt text, vc varchar(30), ch char(10), nm name, one "char", bytes bytea,
    d date, t time, ttz timetz(3), ts timestamp, tstz timestamptz, iv interval, iv_month interval year to month,
    u uuid, j json, jb jsonb, jp jsonpath, x xml, ip inet, net cidr, mac macaddr, mac8 macaddr8,
    bits bit(5), vbits bit varying, pt point, ln line, ls lseg, bx box, pa path, pg polygon, ci circle,
    tsv tsvector, tsq tsquery, lsn pg_lsn, snap txid_snapshot, snap2 pg_snapshot, x8 xid8, xi xid, tid tid, o oid,
    rc regclass, rp regprocedure, rt regtype,
    r4 int4range, r8 int8range, rn numrange, rts tsrange, rtstz tstzrange, rd daterange,
    a4 integer[], atx text[], aby bytea[], ats timestamptz[], aj jsonb[],
    colour kinds.colour, colours kinds.colours, p3 kinds.point3, s3 kinds.segment3, ap3 kinds.point3[],
    od kinds.odd, w kinds.word, fr kinds.floats, tr kinds.texts, ur kinds.upper_right
);
INSERT INTO kinds.all_types (id) VALUES (0);
INSERT INTO kinds.all_types VALUES (
    1, true, 32767, 2147483647, 9223372036854775807, 'NaN', 12345678901234567890.0123456789, 'NaN', 'NaN',
    '92233720368547758.07', 'text', 'varchar', 'char', 'a name', 'c', '\x00ff5c0a09',
    '2024-02-29', '24:00:00', '23:59:59.999-15:59', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+05:30',
    '1 year 2 mons -3 days 04:05:06.789', '-7 years -5 mons',
    '00000000-0000-0000-0000-000000000001', '{"a" :  1, "a": [true, null, "\u00fc\\\n"]}', '{"a": 1e400, "b": [true, null, "ü\\\n"]}',
    '$.a[*] ? (@ > 1)', '<a b="c">&lt;d&gt; ü<!-- \. --></a>', '192.168.1.5/24', '2001:db8::/32', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    B'10101', B'101010101010101', '(1,2)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(1,1)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(1,1),5>',
    $$'a':1A 'b c':2B 'it''s':3C '\\':4$$, $$'a' & ( 'b':*A | !'c' ) <-> 'd'$$, '16/B374D848', '10:20:10,14,15', '10:20:10,14,15', '18446744073709551615', '4294967295', '(4294967295,65535)', 4294967295,
    'kinds.plain_seq', 'kinds.is_odd(integer)', 'kinds.colour',
    '[1,5)', '(,9223372036854775807)', '(1.5,NaN]', '["2024-01-01 00:00:00","2024-01-02 00:00:00")', '(-infinity,"2024-01-01 00:00:00+00"]', 'empty',
    '{{1,2,NULL},{4,5,6}}', E'{"", NULL, "NULL", "a b", "a\\"b", "a\\\\b", "{}", "a,b"}', '{"\\x00ff", NULL, ""}', '{"2024-02-29 12:00:00+00", infinity}', '{"{\"a\": \"b\\\"c\"}", NULL}',
    E'new\nline', '{red,"light blue",NULL}', '(1.5,-0,)', '("(1,2,3)",,"{""a b"",""c\\\\""}",Green)', '{"(1,2,3)",NULL,"(,,)"}',
    999, 'a b', '[-Infinity,NaN)', '["a,b","c""d"]', '(0,0,0)'
);
INSERT INTO kinds.all_types VALUES (
    2, false, -32768, -2147483648, -9223372036854775808, NULL, -0.0000000001, '-0', '-0',
    '-92233720368547758.08', '', '', '', '', '', '',
    '4713-01-01 BC', '00:00:00', '00:00:00+15:59', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC',
    '-178000000 years', '0',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '""', '{}', 'strict $', '', '::/0', '0.0.0.0/0', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff:ff:ff',
    B'00000', B'', '(NaN,Infinity)', '{0,-1,0}', '[(-1e-300,1e300),(0,0)]', '(0,0),(0,0)', '((0,0))', '((0,0))', '<(0,0),0>',
    '', '', '0/0', '1:1:', '1:1:', '0', '0', '(0,0)', 0,
    '-', '-', '-',
    'empty', '[,]', '(,)', 'empty', '[-infinity,infinity]', '[-infinity,infinity)',
    '[-2:-1]={1,2}', '{}', '{}', '{}', '{}',
    'it''s "odd"', '{}', '(NaN,Infinity,99999.12345)', '(,,,)', '{}',
    1, '', 'empty', '(,)', NULL
);
INSERT INTO kinds.all_types (id, num, f4, f8, txt, bytes, d, t, ttz, ts, tstz, iv, jb, ip, a4, atx, bits, x) VALUES
    (3, -1e-20, 'Infinity', 'Infinity', E'\\.', '\x5c2e', 'infinity', '12:00:00.000001', '12:00:00-08', 'infinity', 'infinity', '1 microsecond', 'null', '::1', '[0:1][5:6]={{1,2},{3,4}}', '{{a,b},{c,NULL}}', B'11111', 'text only'),
    (4, repeat('9', 400)::numeric, '-Infinity', '-Infinity', E'\\N', '\x5c4e', '-infinity', '12:00', '12:00+00', '-infinity', '-infinity', '-1 day +1 microsecond', '0', '10.0.0.1', '{{{1},{2}},{{3},{4}}}', E'{"\\\\."}', B'00001', '<?xml version="1.0"?><r/>'),
    (5, ('0.' || repeat('0', 300) || '1')::numeric, 1.17549435e-38, 2.2250738585072014e-308, E'\\', '\x5c', '5874897-12-31', NULL, NULL, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years', '[[],{}]', NULL, NULL, '{"\\\\"}', NULL, NULL),
    (6, 0, 1.4e-45, 4.9406564584124654e-324, E'\t\n\r\v\f\b', '\x090a0d0b0c08', '0001-01-01 BC', NULL, NULL, '0001-12-31 23:59:59 BC', '1900-01-01 00:00:00+00', '00:00:00', '"\t\n"', NULL, NULL, E'{"\t","\n"}', NULL, NULL),
    (7, 0.00, 3.4028235e38, 1.7976931348623157e308, E'\r\n\\.\r\n', '\x0d0a5c2e0d0a', '1582-10-15', NULL, NULL, '1582-10-15', '2000-01-01 00:00:00+00', '999 hours', '{"": ""}', NULL, NULL, NULL, NULL, NULL),
    (8, 1e-16383, 0.1, 0.1, 'NULL', '\x4e554c4c', NULL, NULL, NULL, NULL, NULL, NULL, '"NULL"', NULL, '{NULL}', '{NULL,"null"}', NULL, NULL),
    (9, 1e100, 16777216, 9007199254740993, E'\x01\x02\x7f', '\x01027f80', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (10, 3.14, 1e-7, 123456789012345678, 'ünï ﬁ ß İ ı 你好 🐘 👩‍👩‍👧‍👦 עברית ' || U&'\FEFF\00A0\200B\2028\0301e' || ' Z' || repeat(U&'\0301', 50), NULL, NULL, NULL, NULL, NULL, NULL, NULL, '"🐘"', NULL, NULL, '{ü,"🐘 x"}', NULL, '<ü>🐘</ü>');
\if :v15
ALTER TABLE kinds.all_types ADD num_rounded numeric(3,-2), ADD num_small numeric(2,5);
UPDATE kinds.all_types SET num_rounded = 12345, num_small = 0.00012 WHERE id = 1;
\endif
\if :v14
ALTER TABLE kinds.all_types ADD mr4 int4multirange, ADD mrn nummultirange, ADD mrtstz tstzmultirange, ADD mrd datemultirange, ADD mrdd kinds.many_dates, ADD mrf kinds.floats[];
UPDATE kinds.all_types SET num = 'Infinity' WHERE id = 2;
UPDATE kinds.all_types SET num = '-Infinity' WHERE id = 3;
UPDATE kinds.all_types SET mr4 = '{[1,3),[5,)}', mrn = '{(,1.5],[2,NaN]}', mrtstz = '{["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")}', mrd = '{}',
    mrdd = '{[2024-01-01,2024-02-01)}', mrf = '{"[1,2)",NULL,empty}' WHERE id = 1;
\endif
\if :v17
UPDATE kinds.all_types SET iv = 'infinity' WHERE id = 8;
UPDATE kinds.all_types SET iv = '-infinity' WHERE id = 9;
\endif
COMMENT ON TABLE kinds.all_types IS 'every built-in type';
COMMENT ON COLUMN kinds.all_types.txt IS E'a column\'s comment\nin two lines';
GRANT SELECT ON kinds.all_types TO pgark_reader;
GRANT SELECT (id, txt), UPDATE (txt) ON kinds.all_types TO pgark_writer WITH GRANT OPTION;
GRANT INSERT (id) ON kinds.all_types TO PUBLIC;

\if :has_contrib
CREATE TABLE kinds.ext_types (h ext.hstore, c ext.citext UNIQUE, u uuid DEFAULT gen_random_uuid(), hs ext.hstore[]);
INSERT INTO kinds.ext_types VALUES
    ('a=>1, "b c"=>"d\"e\\f", "n"=>NULL, ""=>""', 'CaSe', '00000000-0000-0000-0000-000000000002', ARRAY['a=>b', NULL]::ext.hstore[]),
    ('', '', NULL, '{}'), (NULL, NULL, '00000000-0000-0000-0000-000000000003', NULL);
CREATE INDEX ext_types_trgm ON kinds.ext_types USING gin ((c::text) ext.gin_trgm_ops);
CREATE INDEX ext_types_hstore ON kinds.ext_types USING gist (h);
\endif

CREATE TABLE kinds.all_bytes (id integer PRIMARY KEY, b bytea NOT NULL);
INSERT INTO kinds.all_bytes SELECT i, pg_catalog.set_byte('\x00', 0, i) FROM pg_catalog.generate_series(0, 255) i;
INSERT INTO kinds.all_bytes SELECT 256, string_agg(b, '' ORDER BY id) FROM kinds.all_bytes;
INSERT INTO kinds.all_bytes SELECT 257, '';

CREATE TABLE kinds.all_chars (id integer PRIMARY KEY, c text NOT NULL);
INSERT INTO kinds.all_chars SELECT i, pg_catalog.chr(i) FROM pg_catalog.generate_series(1, 300) i;

CREATE TABLE kinds.long_values (id integer PRIMARY KEY, stored text, packed text, b bytea);
ALTER TABLE kinds.long_values ALTER stored SET STORAGE EXTERNAL;
INSERT INTO kinds.long_values VALUES
    (1, pg_catalog.repeat(E'0123456789\\\n', 20000), pg_catalog.repeat('packed ü ', 50000), NULL),
    (2, NULL, (SELECT string_agg(pg_catalog.md5(i::text), '') FROM pg_catalog.generate_series(1, 10000) i),
        (SELECT string_agg(pg_catalog.decode(pg_catalog.md5(i::text), 'hex'), '') FROM pg_catalog.generate_series(1, 20000) i)),
    (3, '', '', '');

-- Two text columns: every pair that a reader of COPY text could take for something else.
CREATE TABLE kinds.tricky (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text, b text);
INSERT INTO kinds.tricky (a, b)
    SELECT a, b FROM (VALUES (NULL), (''), (E'\\'), (E'\\.'), (E'\\N'), (E'\t'), (E'\n'), (E'\r'), (E'\r\n'), (' '), ('"'), (','), (E'\\\n'), (E'\n\\.\n')) x (a),
                       (VALUES (NULL), (''), (E'\\'), (E'\\.'), (E'\\N'), (E'\t'), (E'\n'), (E'\r'), (E'\r\n'), (' '), ('"'), (','), (E'\\\n'), (E'\n\\.\n')) y (b);
CREATE TABLE kinds.one_column (a text);
INSERT INTO kinds.one_column VALUES (NULL), (''), (E'\\.'), (E'\\'), (E'\\N'), (E'\n'), ('end');
CREATE TABLE kinds.no_columns ();
INSERT INTO kinds.no_columns SELECT FROM pg_catalog.generate_series(1, 7);
CREATE TABLE kinds.no_rows (a integer, b text);

-- Large enough to be split.
CREATE TABLE kinds.big (id bigint PRIMARY KEY, grp integer NOT NULL, val numeric(12,2), note text, at timestamptz) WITH (fillfactor = 90);
INSERT INTO kinds.big
    SELECT i, i % 97, (i * 7919 % 1000003) / 100.0, CASE WHEN i % 11 > 0 THEN pg_catalog.repeat(pg_catalog.md5(i::text), i::integer % 5) END,
           timestamptz '2024-01-01 00:00:00+00' + i * interval '61 seconds'
    FROM pg_catalog.generate_series(1, 20000) i;
DELETE FROM kinds.big WHERE id BETWEEN 5000 AND 5999 AND id % 3 > 0;
CREATE INDEX big_grp ON kinds.big (grp) INCLUDE (val);

------------------------------------------------------------------------------------------------------------
-- Tables: forms
------------------------------------------------------------------------------------------------------------

CREATE TABLE kinds.defaults (
    id bigserial PRIMARY KEY,
    by_seq integer DEFAULT pg_catalog.nextval('kinds.used_seq'),
    always integer GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT -5 MINVALUE -1000 MAXVALUE 200 CYCLE CACHE 1),
    by_default bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME kinds."Identity's seq" START 7),
    a integer NOT NULL DEFAULT 3 CHECK (a > 0),
    twice integer GENERATED ALWAYS AS (a * 2) STORED,
    label text GENERATED ALWAYS AS ('<' || a::text || '>') STORED NOT NULL,
    b text COLLATE kinds.plain DEFAULT E'it''s\\ a\n"default"',
    c kinds.short_text,
    CONSTRAINT two_columns CHECK (a < 1000 AND b <> 'no'),
    CONSTRAINT local_only CHECK (a <> 13) NO INHERIT
);
ALTER SEQUENCE kinds.plain_seq OWNED BY kinds.defaults.a;
INSERT INTO kinds.defaults (a, c) SELECT i, 'c' || i FROM pg_catalog.generate_series(1, 9) i;
ALTER TABLE kinds.defaults ADD CONSTRAINT not_checked CHECK (a <> 5) NOT VALID;
COMMENT ON CONSTRAINT two_columns ON kinds.defaults IS 'a check';

CREATE TABLE kinds.dropped_columns (gone1 integer, a integer, gone2 text, b text, gone3 kinds.colour);
INSERT INTO kinds.dropped_columns SELECT i, i, 'x', 'b' || i, 'red' FROM pg_catalog.generate_series(1, 5) i;
ALTER TABLE kinds.dropped_columns DROP gone1, DROP gone2, DROP gone3, ADD added integer DEFAULT 42;

CREATE UNLOGGED TABLE kinds.unlogged (a integer PRIMARY KEY, b text);
INSERT INTO kinds.unlogged VALUES (1, 'kept while the server runs');

CREATE TABLE kinds.typed OF kinds.point3 (x WITH OPTIONS PRIMARY KEY, y DEFAULT 7);
INSERT INTO kinds.typed VALUES (1, 2, 3);

CREATE TABLE kinds.stored (a integer, b text, c text, d bytea) USING pgark_heap
    WITH (fillfactor = 70, autovacuum_enabled = false, autovacuum_vacuum_scale_factor = 0.4, toast.autovacuum_enabled = false, parallel_workers = 3);
ALTER TABLE kinds.stored ALTER b SET STORAGE MAIN, ALTER c SET STORAGE PLAIN, ALTER d SET STORAGE EXTERNAL,
    ALTER a SET STATISTICS 500, ALTER b SET (n_distinct = -0.5, n_distinct_inherited = 10);
INSERT INTO kinds.stored VALUES (1, 'b', 'c', '\x0d');
\if :v14
CREATE TABLE kinds.compressed (a text COMPRESSION pglz, b text);
\if :has_lz4
ALTER TABLE kinds.compressed ALTER b SET COMPRESSION lz4;
\endif
INSERT INTO kinds.compressed VALUES (pg_catalog.repeat('a', 3000), pg_catalog.repeat('b', 3000));
\endif

CREATE TABLE kinds.replica_full (a integer); ALTER TABLE kinds.replica_full REPLICA IDENTITY FULL;
CREATE TABLE kinds.replica_none (a integer PRIMARY KEY); ALTER TABLE kinds.replica_none REPLICA IDENTITY NOTHING;
CREATE TABLE kinds.replica_index (a integer NOT NULL, b integer NOT NULL);
CREATE UNIQUE INDEX replica_index_ab ON kinds.replica_index (a, b);
ALTER TABLE kinds.replica_index REPLICA IDENTITY USING INDEX replica_index_ab;

\if :has_tablespace
CREATE TABLE kinds.elsewhere (a integer PRIMARY KEY USING INDEX TABLESPACE pgark_space, b text) TABLESPACE pgark_space;
INSERT INTO kinds.elsewhere VALUES (1, 'elsewhere');
CREATE INDEX elsewhere_b ON kinds.elsewhere (b) TABLESPACE pgark_space;
\endif

CREATE TABLE owned.things (id integer PRIMARY KEY, v text);
ALTER TABLE owned.things OWNER TO pgark_owner;
INSERT INTO owned.things VALUES (1, 'owned by a role'), (2, NULL);
GRANT SELECT ON owned.things TO pgark_grantor WITH GRANT OPTION;
SET ROLE pgark_grantor;
GRANT SELECT ON owned.things TO pgark_reader;
RESET ROLE;
GRANT ALL ON owned.things TO "pgark_Odd ""role"", ü";
CREATE TABLE owned.no_rights (a integer);
ALTER TABLE owned.no_rights OWNER TO pgark_owner;
REVOKE ALL ON owned.no_rights FROM pgark_owner;
\if :v17
GRANT MAINTAIN ON owned.things TO pgark_writer;
\endif

------------------------------------------------------------------------------------------------------------
-- Names
------------------------------------------------------------------------------------------------------------

CREATE TABLE "with.dot, ""quotes"" and ünïcödé \ "."Table, with ""everything""; -- \. ünï" (
    "Column one" integer PRIMARY KEY, "a,b" text, "quo""te" text, "back\slash" text, "ünï 🐘" text, "select" integer, " " text, "(x)" text, "$1" text);
INSERT INTO "with.dot, ""quotes"" and ünïcödé \ "."Table, with ""everything""; -- \. ünï"
    VALUES (1, 'a,b', 'quo"te', E'back\\slash', 'ünï 🐘', 1, ' ', '(x)', '$1'), (2, NULL, '', E'\\', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "with.dot, ""quotes"" and ünïcödé \ "."new
line; SELECT 1 -- " ("col
umn" text, "tab	tab" text);
INSERT INTO "with.dot, ""quotes"" and ünïcödé \ "."new
line; SELECT 1 -- " VALUES (E'in a\nnew line', E'\t');
CREATE TABLE "UPPER"."Mixed Case" ("ID" integer PRIMARY KEY, "Value" text);
INSERT INTO "UPPER"."Mixed Case" VALUES (1, 'One');
CREATE TABLE "UPPER"."mixed case" ("ID" integer);
INSERT INTO "UPPER"."mixed case" VALUES (2);
CREATE TABLE "select"."from" ("table" integer PRIMARY KEY, "user" text DEFAULT 'x', "order" text);
INSERT INTO "select"."from" VALUES (1, 'user', 'order');
CREATE TABLE "select".a23456789_123456789_123456789_123456789_123456789_123456789_123 (
    b23456789_123456789_123456789_123456789_123456789_123456789_123 integer PRIMARY KEY, b text);
INSERT INTO "select".a23456789_123456789_123456789_123456789_123456789_123456789_123 VALUES (1, '63 bytes');
-- 62 bytes in two-byte letters.
CREATE TABLE "select"."üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" (a integer);
INSERT INTO "select"."üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" VALUES (1);
CREATE TABLE "select"."*" (a integer); INSERT INTO "select"."*" VALUES (1);
CREATE TABLE "select"."a*b?c|d" (a integer); INSERT INTO "select"."a*b?c|d" VALUES (1);
CREATE TABLE "select"."../../etc/x" (a integer); INSERT INTO "select"."../../etc/x" VALUES (1);
CREATE TABLE "select"." lead and trail " (a integer); INSERT INTO "select"." lead and trail " VALUES (1);
-- The same name in two schemas.
CREATE TABLE public.big (a integer); INSERT INTO public.big VALUES (1);
COMMENT ON TABLE "with.dot, ""quotes"" and ünïcödé \ "."Table, with ""everything""; -- \. ünï" IS 'odd names';
GRANT SELECT ("Column one", "quo""te") ON "with.dot, ""quotes"" and ünïcödé \ "."Table, with ""everything""; -- \. ünï" TO "pgark_Odd ""role"", ü";
CREATE INDEX "Index, ""odd"" (x)" ON "with.dot, ""quotes"" and ünïcödé \ "."Table, with ""everything""; -- \. ünï" ("a,b");

------------------------------------------------------------------------------------------------------------
-- Constraints and indexes
------------------------------------------------------------------------------------------------------------

CREATE TABLE kinds.parents (id integer PRIMARY KEY, code text NOT NULL CONSTRAINT code_key UNIQUE DEFERRABLE INITIALLY DEFERRED, UNIQUE (id, code));
CREATE TABLE kinds.children (
    id integer PRIMARY KEY, parent integer, code text, other integer,
    CONSTRAINT to_parent FOREIGN KEY (parent) REFERENCES kinds.parents ON DELETE CASCADE ON UPDATE SET NULL,
    CONSTRAINT to_both FOREIGN KEY (parent, code) REFERENCES kinds.parents (id, code) MATCH FULL DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT to_self FOREIGN KEY (other) REFERENCES kinds.children DEFERRABLE);
INSERT INTO kinds.parents SELECT i, 'code ' || i FROM pg_catalog.generate_series(1, 10) i;
INSERT INTO kinds.children SELECT i, 1 + i % 10, 'code ' || 1 + i % 10, nullif(31 - i, i) FROM pg_catalog.generate_series(1, 30) i;
COMMENT ON CONSTRAINT to_parent ON kinds.children IS 'a foreign key';
-- Rows that no longer satisfy a foreign key: it must not be checked on restore.
CREATE TABLE kinds.orphans (id integer, parent integer);
INSERT INTO kinds.orphans VALUES (1, 999);
ALTER TABLE kinds.orphans ADD CONSTRAINT orphan_to_parent FOREIGN KEY (parent) REFERENCES kinds.parents NOT VALID;
-- Two tables that refer to each other.
CREATE TABLE kinds.chicken (id integer PRIMARY KEY, egg integer);
CREATE TABLE kinds.egg (id integer PRIMARY KEY, chicken integer REFERENCES kinds.chicken DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE kinds.chicken ADD FOREIGN KEY (egg) REFERENCES kinds.egg DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO kinds.chicken VALUES (1, 1);
INSERT INTO kinds.egg VALUES (1, 1);
COMMIT;
\if :v15
CREATE TABLE kinds.set_some_null (
    a integer, b integer, UNIQUE NULLS NOT DISTINCT (a, b),
    FOREIGN KEY (a, b) REFERENCES kinds.replica_index (a, b) ON DELETE SET NULL (b));
\endif
CREATE TABLE kinds.indexed (
    id integer, j jsonb, t text, p point, r int4range, n integer, ts timestamp, bx box, w tsvector,
    CONSTRAINT indexed_pk PRIMARY KEY (id) INCLUDE (j) WITH (fillfactor = 80),
    CONSTRAINT no_overlap EXCLUDE USING gist (r WITH &&) WHERE (n > 0) DEFERRABLE);
INSERT INTO kinds.indexed
    SELECT i, pg_catalog.jsonb_build_object('k', i), 'text ' || i, point(i, -i), int4range(i, i + 1), i % 7, timestamp '2024-01-01' + i * interval '1 hour', box(point(i, i), point(0, 0)), to_tsvector('pg_catalog.english', 'word ' || i)
    FROM pg_catalog.generate_series(1, 100) i;
CREATE INDEX indexed_partial ON kinds.indexed (t) WHERE n > 3;
CREATE INDEX indexed_expression ON kinds.indexed (lower(t) COLLATE "C" text_pattern_ops DESC NULLS LAST, (n + 1));
CREATE UNIQUE INDEX indexed_unique ON kinds.indexed (id, n) INCLUDE (t);
CREATE INDEX indexed_gin ON kinds.indexed USING gin (j jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX indexed_gin_words ON kinds.indexed USING gin (w);
CREATE INDEX indexed_gist ON kinds.indexed USING gist (p);
CREATE INDEX indexed_spgist ON kinds.indexed USING spgist (p);
CREATE INDEX indexed_hash ON kinds.indexed USING hash (t);
CREATE INDEX indexed_brin ON kinds.indexed USING brin (ts) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX indexed_class ON kinds.indexed USING hash (n kinds.odd_class);
CREATE INDEX indexed_abs ON kinds.indexed (n kinds.abs_class);
CREATE INDEX indexed_function ON kinds.indexed (kinds.is_odd(n));
ALTER INDEX kinds.indexed_expression ALTER COLUMN 2 SET STATISTICS 321;
ALTER TABLE kinds.indexed CLUSTER ON indexed_pk;
COMMENT ON INDEX kinds.indexed_partial IS 'an index';
COMMENT ON CONSTRAINT indexed_pk ON kinds.indexed IS 'a primary key';
CREATE STATISTICS kinds.stat_all ON id, n FROM kinds.indexed;
CREATE STATISTICS kinds.stat_some (ndistinct, dependencies, mcv) ON n, t, ts FROM kinds.indexed;
ALTER STATISTICS kinds.stat_some SET STATISTICS 77;
\if :v14
CREATE STATISTICS kinds.stat_expression ON (n % 2), lower(t) FROM kinds.indexed;
CREATE STATISTICS kinds."stat single" ON (n + id) FROM kinds.indexed;
\endif
COMMENT ON STATISTICS kinds.stat_some IS 'extended statistics';
ALTER STATISTICS kinds.stat_all OWNER TO pgark_owner;

------------------------------------------------------------------------------------------------------------
-- Inheritance and partitions
------------------------------------------------------------------------------------------------------------

-- Columns that are inherited stand first and in the parents' order: pg_dump's copy has them so in any case.
CREATE TABLE kinds.animal (id integer NOT NULL, name text DEFAULT 'animal', legs integer CHECK (legs >= 0), CONSTRAINT named CHECK (name <> ''));
ALTER TABLE kinds.animal ADD later text DEFAULT 'later';
CREATE TABLE kinds.mammal (fur text, name text DEFAULT 'mammal', CONSTRAINT named CHECK (name <> '')) INHERITS (kinds.animal);
CREATE TABLE kinds.swimmer (depth integer NOT NULL DEFAULT 5);
CREATE TABLE kinds.whale (legs integer DEFAULT 0) INHERITS (kinds.mammal, kinds.swimmer);
CREATE TABLE kinds.adopted (id integer NOT NULL, name text, legs integer, later text, depth integer NOT NULL, CONSTRAINT animal_legs_check CHECK (legs >= 0), CONSTRAINT named CHECK (name <> ''));
ALTER TABLE kinds.adopted INHERIT kinds.animal;
ALTER TABLE kinds.whale ALTER name SET DEFAULT 'whale', ALTER fur SET NOT NULL;
INSERT INTO kinds.animal VALUES (1, 'animal', 4); INSERT INTO kinds.mammal (id, fur, legs) VALUES (2, 'brown', 4);
INSERT INTO kinds.swimmer DEFAULT VALUES; INSERT INTO kinds.whale (id, fur) VALUES (3, 'none'); INSERT INTO kinds.adopted VALUES (4, 'otter', 4, 'l', 1);

CREATE TABLE kinds.by_range (id integer NOT NULL, at date NOT NULL, v text DEFAULT 'root', w integer GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE kinds.by_range_2023 PARTITION OF kinds.by_range FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE kinds.by_range_2024 PARTITION OF kinds.by_range (v DEFAULT 'leaf' NOT NULL, CHECK (id > 0)) FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (id);
CREATE TABLE kinds.by_range_2024_few PARTITION OF kinds.by_range_2024 FOR VALUES IN (1, 2, 3);
CREATE TABLE kinds.by_range_2024_rest PARTITION OF kinds.by_range_2024 DEFAULT PARTITION BY HASH (id);
CREATE TABLE kinds.by_range_2024_rest_0 PARTITION OF kinds.by_range_2024_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE owned.by_range_2024_rest_1 PARTITION OF kinds.by_range_2024_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- Attached, with its columns in another order, and one that was dropped.
CREATE TABLE kinds.by_range_2025 (w integer GENERATED ALWAYS AS (id * 2) STORED, gone text, v text DEFAULT 'attached', at date NOT NULL, id integer NOT NULL);
ALTER TABLE kinds.by_range_2025 DROP gone;
ALTER TABLE kinds.by_range_2025 ADD CONSTRAINT by_range_2025_pk PRIMARY KEY (id, at);
ALTER TABLE kinds.by_range ATTACH PARTITION kinds.by_range_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE kinds."by_range default, ""odd""" PARTITION OF kinds.by_range DEFAULT;
INSERT INTO kinds.by_range (id, at, v) SELECT i, date '2023-06-01' + i * 9, 'row ' || i FROM pg_catalog.generate_series(1, 150) i;
CREATE INDEX by_range_v ON kinds.by_range (v);
CREATE INDEX by_range_only ON ONLY kinds.by_range (at, v);
CREATE INDEX by_range_2023_at ON kinds.by_range_2023 (at, v);
ALTER INDEX kinds.by_range_only ATTACH PARTITION kinds.by_range_2023_at;
COMMENT ON INDEX kinds.by_range_v IS 'an index of a partitioned table';
COMMENT ON TABLE kinds.by_range_2024 IS 'a partition that has partitions';

CREATE TABLE kinds.by_list (k kinds.colour, v integer) PARTITION BY LIST (k);
CREATE TABLE kinds.by_list_warm PARTITION OF kinds.by_list FOR VALUES IN ('red', 'orange');
CREATE TABLE kinds.by_list_null PARTITION OF kinds.by_list FOR VALUES IN (NULL, E'new\nline');
CREATE TABLE kinds.by_list_rest PARTITION OF kinds.by_list DEFAULT;
INSERT INTO kinds.by_list VALUES ('red', 1), ('orange', 2), (NULL, 3), (E'new\nline', 4), ('ünï', 5);
CREATE TABLE kinds.by_expression (a text COLLATE "C", b numeric) PARTITION BY RANGE (lower(a) COLLATE "C" text_pattern_ops, (b + 1));
CREATE TABLE kinds.by_expression_1 PARTITION OF kinds.by_expression FOR VALUES FROM ('a', MINVALUE) TO ('n', 1e6);
CREATE TABLE kinds.by_expression_2 PARTITION OF kinds.by_expression FOR VALUES FROM ('n', 1e6) TO (MAXVALUE, MAXVALUE);
INSERT INTO kinds.by_expression VALUES ('Abc', 1), ('xyz', 0), ('N', 'NaN'), ('n', 5);
CREATE TABLE kinds.no_partitions (a integer) PARTITION BY RANGE (a);
CREATE TABLE kinds.refers_to_partitioned (id integer, at date, FOREIGN KEY (id, at) REFERENCES kinds.by_range);
INSERT INTO kinds.refers_to_partitioned SELECT id, at FROM kinds.by_range WHERE id % 10 = 0;
CREATE TABLE kinds.by_hash_fk (id integer, parent integer REFERENCES kinds.parents, UNIQUE (id)) PARTITION BY HASH (id);
CREATE TABLE kinds.by_hash_fk_0 PARTITION OF kinds.by_hash_fk FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE kinds.by_hash_fk_1 PARTITION OF kinds.by_hash_fk FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO kinds.by_hash_fk SELECT i, 1 + i % 10 FROM pg_catalog.generate_series(1, 20) i;

------------------------------------------------------------------------------------------------------------
-- Views and materialized views
------------------------------------------------------------------------------------------------------------

CREATE VIEW kinds.simple AS SELECT id, a, b FROM kinds.defaults WHERE a > 2;
CREATE VIEW kinds.on_view ("Id", doubled) WITH (security_barrier) AS SELECT id, a * 2 FROM kinds.simple;
CREATE VIEW kinds.checked WITH (check_option = cascaded) AS SELECT id, code FROM kinds.parents WHERE id < 100;
CREATE VIEW kinds.checked_local AS SELECT * FROM kinds.checked WHERE id > 0 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW kinds.counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW kinds.no_columns_view AS SELECT;
\if :v15
CREATE VIEW kinds.as_invoker WITH (security_invoker = true) AS SELECT * FROM kinds.all_bytes;
\endif
ALTER VIEW kinds.simple ALTER a SET DEFAULT 5;
COMMENT ON VIEW kinds.simple IS 'a view';
COMMENT ON COLUMN kinds.simple.a IS 'a view''s column';
GRANT SELECT, INSERT ON kinds.simple TO pgark_writer;
-- Depends on a primary key, which comes after the data: dumped as a dummy view and a rule.
CREATE VIEW kinds.grouped AS SELECT p.id, p.code, count(c.id) AS n FROM kinds.parents p LEFT JOIN kinds.children c ON c.parent = p.id GROUP BY p.id;
CREATE VIEW kinds.on_grouped AS SELECT * FROM kinds.grouped WHERE n > 1;
-- A circle: a view that uses a function whose argument is the view's row type.
CREATE VIEW kinds.circle AS SELECT 1 AS a;
CREATE FUNCTION kinds.of_circle(kinds.circle) RETURNS integer LANGUAGE sql AS 'SELECT ($1).a';
CREATE OR REPLACE VIEW kinds.circle AS SELECT s.a, kinds.of_circle(NULL::kinds.circle) AS b FROM (SELECT 1 AS a) s;

CREATE MATERIALIZED VIEW kinds.mv AS SELECT grp, count(*) AS n, sum(val) AS total FROM kinds.big GROUP BY grp;
CREATE UNIQUE INDEX mv_grp ON kinds.mv (grp);
ALTER MATERIALIZED VIEW kinds.mv CLUSTER ON mv_grp;
CREATE MATERIALIZED VIEW kinds.mv_on_mv WITH (fillfactor = 75) AS SELECT n, count(*) AS groups FROM kinds.mv GROUP BY n;
-- By its name it comes before what it is made from.
CREATE MATERIALIZED VIEW kinds.a_mv_on_mv AS SELECT max(groups) AS m FROM kinds.mv_on_mv;
CREATE MATERIALIZED VIEW kinds.mv_no_data AS SELECT * FROM kinds.big WITH NO DATA;
CREATE MATERIALIZED VIEW kinds.mv_grouped AS SELECT p.id, p.code, count(*) AS n FROM kinds.parents p GROUP BY p.id;
CREATE VIEW kinds.view_on_mv AS SELECT * FROM kinds.mv WHERE n > 100;
CREATE MATERIALIZED VIEW kinds."MV, ""odd""" AS SELECT * FROM kinds.view_on_mv;
ALTER MATERIALIZED VIEW kinds.mv ALTER total SET STATISTICS 50;
GRANT SELECT ON kinds.mv TO pgark_reader;
COMMENT ON MATERIALIZED VIEW kinds.mv IS 'a materialized view';
COMMENT ON COLUMN kinds.mv.n IS 'its column';
\if :v14
-- A function with a parsed body depends on the table, and a default on the function.
CREATE FUNCTION kinds.atomic_count() RETURNS bigint LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT count(*) FROM kinds.parents WHERE code <> ';';
    SELECT count(*) FROM kinds.grouped g WHERE g.n > 0;
END;
CREATE TABLE kinds.uses_atomic (a bigint DEFAULT kinds.atomic_count(), b integer);
INSERT INTO kinds.uses_atomic (b) VALUES (1);
\endif

------------------------------------------------------------------------------------------------------------
-- Triggers, rules, policies, event triggers
------------------------------------------------------------------------------------------------------------

CREATE TABLE kinds.audited (id integer PRIMARY KEY, v text, changed integer DEFAULT 0);
CREATE TABLE kinds.audit_log (what text);
INSERT INTO kinds.audited VALUES (1, 'loaded before its triggers', 0), (2, 'they must not fire on restore', 0);
CREATE FUNCTION kinds.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kinds.audit_log VALUES (TG_NAME || ' ' || TG_OP);
    IF TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN RETURN NEW; END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OF v ON kinds.audited FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION kinds.note_change('arg''1', '\');
CREATE TRIGGER after_statement AFTER INSERT OR DELETE OR TRUNCATE ON kinds.audited EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER with_tables AFTER UPDATE ON kinds.audited REFERENCING OLD TABLE AS old_rows NEW TABLE AS "New rows" FOR EACH STATEMENT EXECUTE FUNCTION kinds.note_change();
CREATE CONSTRAINT TRIGGER deferred_one AFTER INSERT ON kinds.audited DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER "Off, ""odd""" BEFORE DELETE ON kinds.audited FOR EACH ROW EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER always_on AFTER INSERT ON kinds.audited EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER on_replica AFTER INSERT ON kinds.audited EXECUTE FUNCTION kinds.note_change();
ALTER TABLE kinds.audited DISABLE TRIGGER "Off, ""odd""", ENABLE ALWAYS TRIGGER always_on, ENABLE REPLICA TRIGGER on_replica;
CREATE TRIGGER instead INSTEAD OF INSERT ON kinds.on_view FOR EACH ROW EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER on_root AFTER INSERT ON kinds.by_range FOR EACH ROW EXECUTE FUNCTION kinds.note_change();
CREATE TRIGGER on_leaf BEFORE INSERT ON kinds.by_range_2023 FOR EACH ROW EXECUTE FUNCTION kinds.note_change();
\if :v15
ALTER TABLE kinds.by_range_2025 DISABLE TRIGGER on_root;
\endif
COMMENT ON TRIGGER before_row ON kinds.audited IS 'a trigger';
-- A trigger function that would fail in any session: restoring rows must not run it.
CREATE TABLE kinds.guarded (id integer PRIMARY KEY, v text);
INSERT INTO kinds.guarded VALUES (1, 'a'), (2, 'b');
CREATE FUNCTION kinds.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no rows, please'; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON kinds.guarded FOR EACH ROW EXECUTE FUNCTION kinds.refuse();
ALTER TABLE kinds.guarded ENABLE ALWAYS TRIGGER refuse;

CREATE TABLE kinds.ruled (a integer, b text);
INSERT INTO kinds.ruled VALUES (1, 'loaded before its rules');
CREATE RULE log_insert AS ON INSERT TO kinds.ruled DO ALSO INSERT INTO kinds.audit_log VALUES ('rule ' || NEW.b);
CREATE RULE no_delete AS ON DELETE TO kinds.ruled WHERE OLD.a = 1 DO INSTEAD NOTHING;
CREATE RULE "Two, ""odd""" AS ON UPDATE TO kinds.ruled DO INSTEAD (SELECT 1; NOTIFY pgark_ruled);
ALTER TABLE kinds.ruled DISABLE RULE "Two, ""odd""";
CREATE RULE insert_simple AS ON INSERT TO kinds.simple DO INSTEAD INSERT INTO kinds.ruled VALUES (NEW.a, NEW.b) RETURNING 0::bigint, a, b;
COMMENT ON RULE no_delete ON kinds.ruled IS 'a rule';

CREATE TABLE kinds.secured (id integer PRIMARY KEY, who text, secret text);
INSERT INTO kinds.secured VALUES (1, 'pgark_reader', 'one'), (2, 'postgres', 'two');
ALTER TABLE kinds.secured OWNER TO pgark_owner;
ALTER TABLE kinds.secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY see_own ON kinds.secured FOR SELECT TO pgark_reader, pgark_writer USING (who = current_user);
CREATE POLICY "Write, ""odd""" ON kinds.secured AS RESTRICTIVE FOR INSERT WITH CHECK (secret <> '' AND EXISTS (SELECT FROM kinds.parents));
CREATE POLICY all_of_it ON kinds.secured USING (true) WITH CHECK (id > 0);
CREATE TABLE kinds.enabled_only (a integer); ALTER TABLE kinds.enabled_only ENABLE ROW LEVEL SECURITY;
CREATE TABLE kinds.policy_only (a integer); CREATE POLICY idle ON kinds.policy_only FOR DELETE USING (a = 1);
COMMENT ON POLICY see_own ON kinds.secured IS 'a policy';

CREATE FUNCTION kinds.on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN NULL; END$$;
CREATE EVENT TRIGGER pgark_on_end ON ddl_command_end WHEN TAG IN ('CREATE FOREIGN TABLE', 'COMMENT') EXECUTE FUNCTION kinds.on_event();
CREATE EVENT TRIGGER pgark_on_drop ON sql_drop EXECUTE FUNCTION kinds.on_event();
CREATE EVENT TRIGGER "pgark odd" ON table_rewrite EXECUTE FUNCTION kinds.on_event();
ALTER EVENT TRIGGER pgark_on_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER "pgark odd" DISABLE;
COMMENT ON EVENT TRIGGER pgark_on_end IS 'an event trigger';

------------------------------------------------------------------------------------------------------------
-- Foreign data
------------------------------------------------------------------------------------------------------------

CREATE FOREIGN DATA WRAPPER pgark_dummy OPTIONS (debug 'true', "Odd ""name""" 'it''s');
CREATE SERVER "Server, ""odd""" TYPE 'type' VERSION '1.0' FOREIGN DATA WRAPPER pgark_dummy OPTIONS (host 'nowhere');
CREATE SERVER pgark_server FOREIGN DATA WRAPPER pgark_dummy;
ALTER SERVER pgark_server OWNER TO pgark_owner;
CREATE USER MAPPING FOR pgark_reader SERVER pgark_server OPTIONS (username 'u', password 'it''s \ secret');
CREATE USER MAPPING FOR PUBLIC SERVER pgark_server;
CREATE FOREIGN TABLE kinds.far_away (id integer OPTIONS (remote 'Id') NOT NULL, v text COLLATE "C" DEFAULT 'v', CONSTRAINT positive CHECK (id > 0)) SERVER pgark_server OPTIONS (tab 'le');
ALTER FOREIGN TABLE kinds.far_away ALTER v SET STATISTICS 33;
GRANT USAGE ON FOREIGN DATA WRAPPER pgark_dummy TO pgark_owner WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER pgark_server TO pgark_reader;
GRANT SELECT ON kinds.far_away TO pgark_reader;
COMMENT ON FOREIGN DATA WRAPPER pgark_dummy IS 'a wrapper';
COMMENT ON SERVER pgark_server IS 'a server';
COMMENT ON FOREIGN TABLE kinds.far_away IS 'a foreign table';
COMMENT ON COLUMN kinds.far_away.v IS 'its column';
\if :has_contrib
CREATE SERVER pgark_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE kinds.from_file (line text) SERVER pgark_files OPTIONS (filename '/dev/null');
CREATE SERVER pgark_remote FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost', dbname 'nowhere', fetch_size '50');
CREATE USER MAPPING FOR CURRENT_USER SERVER pgark_remote OPTIONS ("user" 'nobody');
CREATE FOREIGN TABLE kinds.from_remote (a integer) SERVER pgark_remote OPTIONS (schema_name 'kinds', table_name 'one_column');
\endif

------------------------------------------------------------------------------------------------------------
-- Publications. None covers updates of tables without a replica identity, which would then fail.
------------------------------------------------------------------------------------------------------------

CREATE PUBLICATION pgark_all FOR ALL TABLES WITH (publish = 'insert');
CREATE PUBLICATION pgark_some FOR TABLE kinds.parents, ONLY kinds.animal, kinds.by_range WITH (publish = 'insert, truncate', publish_via_partition_root = true);
CREATE PUBLICATION "pgark, ""none""";
\if :v15
CREATE PUBLICATION pgark_columns FOR TABLE kinds.big (id, val), kinds.all_types (id, txt) WHERE (id > 1 AND txt <> 'x') WITH (publish = 'insert');
CREATE PUBLICATION pgark_schemas FOR TABLES IN SCHEMA owned, "UPPER", TABLE kinds.children WITH (publish = 'insert');
\endif
ALTER PUBLICATION pgark_some OWNER TO pgark_owner;
COMMENT ON PUBLICATION pgark_some IS 'a publication';

------------------------------------------------------------------------------------------------------------
-- Large objects
------------------------------------------------------------------------------------------------------------

SELECT pg_catalog.lo_from_bytea(990001, 'small'), pg_catalog.lo_from_bytea(990002, ''),
       pg_catalog.lo_from_bytea(990003, (SELECT string_agg(pg_catalog.decode(pg_catalog.md5(i::text), 'hex'), '') FROM pg_catalog.generate_series(1, 20000) i)),
       pg_catalog.lo_from_bytea(990004, (SELECT b FROM kinds.all_bytes WHERE id = 256)), pg_catalog.lo_create(4294967295) \g /dev/null
-- With a hole in it.
SELECT pg_catalog.lo_put(990002, 300000, '\x00ff') \g /dev/null
COMMENT ON LARGE OBJECT 990001 IS 'a large object';
ALTER LARGE OBJECT 990003 OWNER TO pgark_owner;
GRANT SELECT ON LARGE OBJECT 990003 TO pgark_reader;
GRANT SELECT, UPDATE ON LARGE OBJECT 990004 TO PUBLIC;

------------------------------------------------------------------------------------------------------------
-- Default privileges
------------------------------------------------------------------------------------------------------------

ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner IN SCHEMA owned GRANT SELECT ON TABLES TO pgark_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner IN SCHEMA owned GRANT USAGE ON SEQUENCES TO pgark_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner GRANT USAGE ON SCHEMAS TO "pgark_Odd ""role"", ü";
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner REVOKE USAGE ON TYPES FROM PUBLIC;

------------------------------------------------------------------------------------------------------------
-- What only newer servers have
------------------------------------------------------------------------------------------------------------

\if :v16
CREATE TABLE kinds.storage_at_once (a text STORAGE EXTERNAL, b text STORAGE MAIN);
CREATE VIEW kinds.makes_json AS SELECT JSON_ARRAY(1, NULL NULL ON NULL) AS a, JSON_OBJECT('k' VALUE count(*) ABSENT ON NULL WITH UNIQUE KEYS) AS o,
    JSON_ARRAYAGG(id ORDER BY id) AS l, bool_and(code IS NOT JSON OBJECT) AS n FROM kinds.parents;
\endif
\if :v17
CREATE TABLE kinds.identity_root (id integer GENERATED ALWAYS AS IDENTITY, v text) PARTITION BY LIST (v);
CREATE TABLE kinds.identity_leaf PARTITION OF kinds.identity_root DEFAULT;
INSERT INTO kinds.identity_root (v) VALUES ('a'), ('b');
CREATE VIEW kinds.from_json AS SELECT t.*, JSON_VALUE('{"a": 1}'::jsonb, '$.a' RETURNING integer DEFAULT 3 ON EMPTY) AS v
    FROM JSON_TABLE('[{"a": 1}]'::jsonb, '$[*]' COLUMNS (a integer PATH '$.a', NESTED PATH '$.b[*]' COLUMNS (b text EXISTS PATH '$'))) t;
CREATE PROCEDURE kinds.merges(n integer) BEGIN ATOMIC
    MERGE INTO kinds.one_column t USING (SELECT n) s (n) ON t.a = s.n::text
        WHEN MATCHED THEN UPDATE SET a = 'kinds.big' WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.n);
END;
CREATE EVENT TRIGGER pgark_on_login ON login EXECUTE FUNCTION kinds.on_event();
COMMENT ON EVENT TRIGGER pgark_on_login IS 'on login';
GRANT MAINTAIN ON kinds.mv TO pgark_writer WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner IN SCHEMA owned GRANT MAINTAIN ON TABLES TO pgark_writer;
\endif
\if :v18
CREATE TABLE kinds.virtual (a integer, b integer GENERATED ALWAYS AS (a * 3) VIRTUAL, c integer GENERATED ALWAYS AS (a * 4) STORED);
INSERT INTO kinds.virtual VALUES (1), (2), (NULL);
CREATE TABLE kinds.not_enforced (a integer, parent integer, CONSTRAINT off CHECK (a > 0) NOT ENFORCED, CONSTRAINT to_off FOREIGN KEY (parent) REFERENCES kinds.parents NOT ENFORCED);
INSERT INTO kinds.not_enforced VALUES (-1, 999);
CREATE TABLE kinds.named_not_null (a integer CONSTRAINT "a is there" NOT NULL, b integer);
INSERT INTO kinds.named_not_null VALUES (1, NULL);
ALTER TABLE kinds.named_not_null ADD CONSTRAINT b_later NOT NULL b NOT VALID;
COMMENT ON CONSTRAINT "a is there" ON kinds.named_not_null IS 'a not-null constraint';
COMMENT ON CONSTRAINT b_later ON kinds.named_not_null IS 'one that is not valid';
CREATE TABLE kinds.not_null_here (a integer CONSTRAINT here NOT NULL NO INHERIT, b integer NOT NULL);
CREATE TABLE kinds.not_null_there (c integer, CONSTRAINT there NOT NULL a) INHERITS (kinds.not_null_here);
CREATE TABLE kinds.not_null_root (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE kinds.not_null_leaf PARTITION OF kinds.not_null_root (CONSTRAINT of_leaf NOT NULL b) FOR VALUES IN (1);
CREATE TABLE kinds.not_null_null PARTITION OF kinds.not_null_root FOR VALUES IN (2);
INSERT INTO kinds.not_null_root VALUES (1, 1), (2, NULL);
ALTER TABLE kinds.not_null_root ADD CONSTRAINT of_root NOT NULL b NOT VALID;
CREATE DOMAIN kinds.named_there AS integer CONSTRAINT is_there NOT NULL;
COMMENT ON CONSTRAINT is_there ON DOMAIN kinds.named_there IS 'a domain''s not-null constraint';
CREATE TABLE kinds.virtual_only (v integer GENERATED ALWAYS AS (7) VIRTUAL);
INSERT INTO kinds.virtual_only SELECT FROM pg_catalog.generate_series(1, 3);
CREATE TABLE kinds.virtual_root (k integer, b integer, v integer GENERATED ALWAYS AS (b * 2) VIRTUAL, CHECK (v < 100)) PARTITION BY RANGE (k);
CREATE TABLE kinds.virtual_leaf PARTITION OF kinds.virtual_root (v GENERATED ALWAYS AS (b * 3) VIRTUAL) FOR VALUES FROM (0) TO (10);
CREATE TABLE kinds.virtual_attached (v integer GENERATED ALWAYS AS (b * 5) VIRTUAL, b integer, k integer, CONSTRAINT virtual_root_v_check CHECK (v < 100));
ALTER TABLE kinds.virtual_root ATTACH PARTITION kinds.virtual_attached FOR VALUES FROM (10) TO (20);
INSERT INTO kinds.virtual_root VALUES (1, 1), (11, 2);
GRANT SELECT (v) ON kinds.virtual_root TO pgark_reader;
CREATE TABLE kinds.not_checked_root (k integer, parent integer, other integer, CONSTRAINT not_checked_to_off FOREIGN KEY (parent) REFERENCES kinds.parents NOT ENFORCED,
    CONSTRAINT not_checked_off CHECK (parent < 0) NOT ENFORCED) PARTITION BY LIST (k);
CREATE TABLE kinds.not_checked_leaf PARTITION OF kinds.not_checked_root FOR VALUES IN (1);
INSERT INTO kinds.not_checked_root VALUES (1, 999, 999);
ALTER TABLE kinds.not_checked_root ADD CONSTRAINT not_checked_to_parent FOREIGN KEY (other) REFERENCES kinds.parents NOT VALID;
CREATE FOREIGN TABLE kinds.far_virtual (a integer CONSTRAINT far_there NOT NULL, v integer GENERATED ALWAYS AS (a * 2) VIRTUAL, CONSTRAINT far_off CHECK (a > 0) NOT ENFORCED)
    SERVER pgark_server;
CREATE COLLATION kinds.full_case (PROVIDER = builtin, LOCALE = 'PG_UNICODE_FAST');
CREATE FUNCTION kinds.old_and_new() RETURNS TABLE (was integer, is_now integer) LANGUAGE sql
BEGIN ATOMIC
    UPDATE kinds.no_rows SET a = a + 1 RETURNING WITH (OLD AS o, NEW AS n) o.a, n.a;
END;
CREATE PUBLICATION pgark_generated FOR TABLE kinds.virtual (a, c), kinds.big WHERE (id > 1) WITH (publish = 'insert', publish_generated_columns = stored);
ALTER DEFAULT PRIVILEGES FOR ROLE pgark_owner GRANT SELECT, UPDATE ON LARGE OBJECTS TO pgark_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON LARGE OBJECTS TO pgark_writer;
\if :has_contrib
CREATE TABLE kinds.booking (room integer, during tstzrange, PRIMARY KEY (room, during WITHOUT OVERLAPS));
CREATE TABLE kinds.use_of_room (room integer, during tstzrange, FOREIGN KEY (room, PERIOD during) REFERENCES kinds.booking (room, PERIOD during));
CREATE TABLE kinds.open_hours (room integer, hours datemultirange, day daterange, CONSTRAINT once UNIQUE (room, day WITHOUT OVERLAPS), PRIMARY KEY (room, hours WITHOUT OVERLAPS));
INSERT INTO kinds.open_hours VALUES (1, '{[2024-01-01,2024-01-02),[2024-02-01,2024-03-01)}', '[2024-01-01,2024-01-02)');
INSERT INTO kinds.booking VALUES (1, '[2024-01-01 00:00:00+00,2024-01-02 00:00:00+00)');
INSERT INTO kinds.use_of_room VALUES (1, '[2024-01-01 01:00:00+00,2024-01-01 02:00:00+00)');
\endif
\endif

RESET ALL;
