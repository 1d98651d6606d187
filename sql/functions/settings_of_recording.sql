-- Purpose: let the functions that write a row's values as JSON write the same in every session. The list stands here once, for
--          all of them; rowhooks.settings_of_rows says when a session writes the same without them.
do $$
declare
  our_function pg_catalog.text;
begin
  foreach our_function in array array[
    'json_as_recorded(record)', 'row_by_columns(integer, oid, record)', 'value_as_recorded(anyelement, text)'
  ] loop
    execute pg_catalog.format(
      'alter function rowhooks.%s '
      'set timezone = ''UTC'' set datestyle = ''ISO'' set intervalstyle = ''postgres'' set bytea_output = ''hex'' '
      'set extra_float_digits = ''1'' set lc_monetary = ''C'' set quote_all_identifiers = ''off'' set array_nulls = ''on''',
      our_function
    );
  end loop;
end
$$;
