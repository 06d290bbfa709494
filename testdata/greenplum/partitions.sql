-- What becomes of partitioned tables in the life of a Greenplum 6: exchanged, split, dropped and renamed partitions, keys of
-- many types, open ranges; and types and functions with options of their own. Pure SQL, for an empty database.

create table big (id int, d date, pad text) distributed by (id) partition by range (d) (start (date '2024-01-01') end (date '2024-07-01') every (interval '1 month'));
insert into big select i, date '2024-01-01' + i % 180, repeat('x', 60) from generate_series(1,100000) i;
-- external leaf
create table withext (id int, y int) distributed by (id) partition by range (y) (partition old start (2000) end (2001), start (2001) end (2004) every (1));
insert into withext select i, 2001 + i % 3 from generate_series(1,30) i;
create external web table ext_leaf (id int, y int) execute 'echo "7,2000"' on master format 'csv';
alter table withext exchange partition old with table ext_leaf without validation;
-- split, drop, add, rename, dropped column, truncated partition, tablespace
create table evolved (id int, gone text, d date, r text) distributed by (id) partition by range (d) (start (date '2024-01-01') end (date '2024-05-01') every (interval '1 month'), default partition rest);
insert into evolved select i, 'g', date '2024-01-01' + i % 200, 'r' from generate_series(1,1000) i;
alter table evolved drop column gone;
alter table evolved add column extra int default 7;
alter table evolved split default partition start (date '2024-05-01') end (date '2024-06-01') into (partition may, partition rest);
alter table evolved drop partition for (date '2024-02-10');
alter table evolved rename partition may to "May ""24";
create table evo_x (like evolved); insert into evo_x values (1, date '2024-01-05', 'x', 1);
alter table evolved exchange partition for (rank(1)) with table evo_x;
alter table evolved alter column r set statistics 50;
alter table evolved add constraint evolved_check check (id > 0);
create unique index evolved_u on evolved (id, d);
-- open ended ranges
create table openended (id int, n int) distributed by (id) partition by range (n) (partition low end (10), partition mid start (10) end (20), partition high start (20));
insert into openended select i, i from generate_series(1,30) i;
-- other key types
create table ts (id int, t timestamp) distributed by (id) partition by range (t) (start (timestamp '2024-01-01 00:00:00') end (timestamp '2024-01-03') every (interval '12 hours'));
create table txt (id int, t varchar(10)) distributed by (id) partition by list (t) (values ('a'), partition b values ('b', E'x\\y'''));
create table bools (id int, b boolean) distributed by (id) partition by list (b) (partition t values (true), partition f values (false));
create table nums (id int, n numeric(10,2)) distributed by (id) partition by range (n) (start (0.5) end (10.5) every (5));
create table flt (id int, n float8) distributed by (id) partition by range (n) (start (0.5) end (10.5) every (5));
create table chars (id int, c char(3)) distributed by (id) partition by list (c) (partition a values ('a'), partition b values ('bb'));
create table bigi (id bigint, n bigint) distributed by (id) partition by range (n) (start (0) end (9223372036854775807) inclusive);
create table neg (id int, n int) distributed by (id) partition by range (n) (start (-10) exclusive end (-1) inclusive);
create table dates (id int, d date) distributed by (id) partition by range (d) (start (date '2024-01-01') exclusive end (date '2024-01-31') inclusive);
insert into dates select i, date '2024-01-02' + i from generate_series(0,29) i;
create table pkhash (id int, d date, primary key (id, d)) distributed by (id) partition by range (d) (start (date '2024-01-01') end (date '2024-03-01') every (interval '1 month'));
create table fk (id int, d date, foreign key (id, d) references pkhash) distributed by (id);
create unlogged table unl (id int, n int) with (fillfactor=60) distributed by (id) partition by range (n) (start (0) end (10) every (5));
create table clus (id int, n int) distributed by (id) partition by range (n) (start (0) end (10) every (5));
create index clus_i on clus (n); alter table clus cluster on clus_i;
create table subs (id int, d date, r text, n int) distributed by (id) partition by list (r) subpartition by range (n) (partition a values ('a') (subpartition x start (0) end (5), subpartition y start (5) end (9)), partition b values ('b') (subpartition z start (0) end (100), default subpartition oth));
insert into subs select i, null, 'b', i from generate_series(1,200) i;
create type enc as (a int); 
create type money2; create function m_in(cstring) returns money2 language internal immutable strict as 'int4in'; create function m_out(money2) returns cstring language internal immutable strict as 'int4out';
create type money2 (input = m_in, output = m_out, like = int4, compresstype=zlib);
create function f_opt() returns int language sql immutable set gp_default_storage_options = 'appendonly=true' as 'select 1';
create function w(int) returns int language sql immutable window as 'select 1' ;
