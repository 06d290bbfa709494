-- A table partitioned by the hash of an enum, whose hash is that of its OID: in a copy of the database the same row
-- belongs to another partition. Rows must be restored through the root, and digests only agree for the whole table.
-- pg_dump does so by itself since its minor releases of May 2023.
CREATE TYPE public.shade AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
CREATE TABLE public.by_enum_hash (k public.shade, v integer) PARTITION BY HASH (k);
CREATE TABLE public.by_enum_hash_0 PARTITION OF public.by_enum_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE public.by_enum_hash_1 PARTITION OF public.by_enum_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE public.by_enum_hash_2 PARTITION OF public.by_enum_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO public.by_enum_hash SELECT k, i FROM unnest(enum_range(NULL::public.shade)) k, generate_series(1, 5) i;
