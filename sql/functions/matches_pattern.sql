-- Purpose: say whether a text matches a pattern of a JSON schema, where PostgreSQL reads the pattern as pydantic does.
-- Parameters: value    the text
--             pattern  a regular expression of Rust's or Python's
-- Returns: true or false; null where that is left to pydantic: the text has other characters than printable ASCII (what is a
--          letter differs), or the pattern has more than literal characters, classes, groups, lookahead and bounded
--          repetition, or it has lookahead and the text is long: PostgreSQL would look ahead anew from each character
create or replace function rowhooks.matches_pattern(value text, pattern text) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Set operations of Rust's, and the only escapes that mean the same everywhere.
  member constant pg_catalog.text := '(?:[^\]\[\\&~-]|&(?!&)|~(?!~)|-(?!-)|\\[dws\]\[\\^.$*+?(){}|/-])';
  atom constant pg_catalog.text :=
    '(?:[^\\.^$|?*+()\]\[{}]|[.^$|)]|\((?:\?[:=!])?|\\[dwsDWS\]\[\\^.$*+?(){}|/-]|\[\^?' || member || '+\])';
  quantifier constant pg_catalog.text :=
    '(?:(?:[*+?]|\{(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-5])(?:,(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-5])?)?\})\??)?';
begin
  if pg_catalog.length(value) > 1000 and pattern ~ '\(\?[=!]' then
    return null;
  end if;
  if value !~ '^[ -~]*$' collate "C" or pattern !~ pg_catalog.format('^(?:%s%s)*$', atom, quantifier) collate "C" then
    return null;
  end if;
  return value ~ pattern collate "C";
exception when invalid_regular_expression then
  return null;
end
$$;
