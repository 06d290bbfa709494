-- Names and values with bytes from 0x80 up, which SQL_ASCII keeps as they are: for an empty database with that encoding.
--
--   createdb -T template0 -E SQL_ASCII --locale=C DB && psql -X -v ON_ERROR_STOP=1 -d DB -f testdata/sqlascii.sql
--
-- This file has LATIN1, UTF-8, and bytes that are valid in neither. It is no text in any one encoding.
\set QUIET on
\encoding SQL_ASCII
SET client_min_messages = error;
SET standard_conforming_strings = on;

CREATE SCHEMA "latin größe";
CREATE SCHEMA "utf8 grÃ¶ÃŸe";
CREATE SCHEMA "bytes €ÿşÃ( ";
COMMENT ON SCHEMA "bytes €ÿşÃ( " IS 'a comment €ÿşÃ( ''';
CREATE TYPE "bytes €ÿşÃ( ".kind AS ENUM ('größe', 'grÃ¶ÃŸe', '€ÿşÃ( ');
CREATE FUNCTION public."f €ÿşÃ( "(text DEFAULT '€ÿşÃ( ') RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1 || 'größegrÃ¶ÃŸe€ÿşÃ( '$$;
CREATE TABLE "latin größe"."table größe" ("id größe" integer PRIMARY KEY, "value größe" text DEFAULT 'größe', k "bytes €ÿşÃ( ".kind, a text[]);
INSERT INTO "latin größe"."table größe" SELECT i, 'größe ' || i || E'\t\\\n', 'größe', ARRAY['größe', NULL, '"größe"'] FROM generate_series(1, 100) i;
COMMENT ON COLUMN "latin größe"."table größe"."value größe" IS 'größe';
CREATE INDEX "index größe" ON "latin größe"."table größe" ("value größe");
CREATE VIEW "latin größe"."view größe" AS SELECT "id größe" AS "größe" FROM "latin größe"."table größe" WHERE "value größe" <> 'größe';
CREATE TABLE "utf8 grÃ¶ÃŸe"."table grÃ¶ÃŸe" ("id grÃ¶ÃŸe" integer PRIMARY KEY, "value grÃ¶ÃŸe" text DEFAULT 'grÃ¶ÃŸe', k "bytes €ÿşÃ( ".kind, a text[]);
INSERT INTO "utf8 grÃ¶ÃŸe"."table grÃ¶ÃŸe" SELECT i, 'grÃ¶ÃŸe ' || i || E'\t\\\n', 'grÃ¶ÃŸe', ARRAY['grÃ¶ÃŸe', NULL, '"grÃ¶ÃŸe"'] FROM generate_series(1, 100) i;
COMMENT ON COLUMN "utf8 grÃ¶ÃŸe"."table grÃ¶ÃŸe"."value grÃ¶ÃŸe" IS 'grÃ¶ÃŸe';
CREATE INDEX "index grÃ¶ÃŸe" ON "utf8 grÃ¶ÃŸe"."table grÃ¶ÃŸe" ("value grÃ¶ÃŸe");
CREATE VIEW "utf8 grÃ¶ÃŸe"."view grÃ¶ÃŸe" AS SELECT "id grÃ¶ÃŸe" AS "grÃ¶ÃŸe" FROM "utf8 grÃ¶ÃŸe"."table grÃ¶ÃŸe" WHERE "value grÃ¶ÃŸe" <> 'grÃ¶ÃŸe';
CREATE TABLE "bytes €ÿşÃ( "."table €ÿşÃ( " ("id €ÿşÃ( " integer PRIMARY KEY, "value €ÿşÃ( " text DEFAULT '€ÿşÃ( ', k "bytes €ÿşÃ( ".kind, a text[]);
INSERT INTO "bytes €ÿşÃ( "."table €ÿşÃ( " SELECT i, '€ÿşÃ(  ' || i || E'\t\\\n', '€ÿşÃ( ', ARRAY['€ÿşÃ( ', NULL, '"€ÿşÃ( "'] FROM generate_series(1, 100) i;
COMMENT ON COLUMN "bytes €ÿşÃ( "."table €ÿşÃ( "."value €ÿşÃ( " IS '€ÿşÃ( ';
CREATE INDEX "index €ÿşÃ( " ON "bytes €ÿşÃ( "."table €ÿşÃ( " ("value €ÿşÃ( ");
CREATE VIEW "bytes €ÿşÃ( "."view €ÿşÃ( " AS SELECT "id €ÿşÃ( " AS "€ÿşÃ( " FROM "bytes €ÿşÃ( "."table €ÿşÃ( " WHERE "value €ÿşÃ( " <> '€ÿşÃ( ';
-- Every byte.
CREATE TABLE public.letters (code integer PRIMARY KEY, letter text NOT NULL);
INSERT INTO public.letters SELECT i, chr(i) FROM generate_series(1, 255) i;
INSERT INTO public.letters SELECT 256, string_agg(letter, '' ORDER BY code) FROM public.letters;
CREATE SEQUENCE "utf8 grÃ¶ÃŸe"."seq grÃ¶ÃŸe" START 42;
SELECT lo_from_bytea(990001, '\xe4f6fc') \g /dev/null
COMMENT ON LARGE OBJECT 990001 IS 'a large object €ÿşÃ( ';
RESET ALL;
