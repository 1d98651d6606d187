-- Tables with odd names, columns of many types, and rows that are hard to make.
create schema "Odd ""one""";
create type "Odd ""one"".""state" as enum ('off', 'it''s on');
create domain "Odd ""one""".short as varchar(3) not null check (value <> '');
create table "Odd ""one"""."class" (
  "def" integer primary key, "from" "Odd ""one"".""state" not null, "a ""quoted"" \ name" "Odd ""one""".short
);
create table "Odd ""one"""."тест: стол" ("ключ" uuid primary key, "имя %s {x}" text);
create table "Odd ""one""".kinds (
  a smallint, b date, c timestamptz not null, d jsonb not null, e text[] not null, f bytea not null, g boolean not null,
  h numeric(6, 2) not null, i inet not null, j interval not null, k int4range not null, l varchar(2) not null,
  m integer generated always as (1) stored, primary key (a, b)
);
create table "Odd ""one"""."only key" (id integer primary key);
create table "Odd ""one"""."2 loops" (id serial primary key, other integer references "Odd ""one"""."2 loops");
create table "Odd ""one"""."part.ed" (id integer, place text, primary key (id, place)) partition by list (place);
create table "Odd ""one"""."rest" partition of "Odd ""one"""."part.ed" default;
create table "Odd ""one""".strict (id serial primary key, what text not null check (what <> 'sample'));
insert into "Odd ""one""".strict (what) values ('a text of somebody');
create table "Odd ""one""".stricter (id serial primary key, what text not null check (length(what) > 20));
