-- The application's tables.
create schema shop;
create table shop.prices (item text primary key, price numeric not null);
create table shop.orders (id bigint generated always as identity primary key, item text not null, price numeric);
create table shop.reports (order_id bigint primary key, line text not null);
insert into shop.prices values ('chair', 49.5), ('table', 120);
