-- Many questions in one statement.
-- noqa: disable=PRS

-- name: together
-- Asks the questions of the setting rowhooks.questions, a JSON array of queries; the setting rowhooks.answers has their rows
-- then. If rowhooks.is_tolerant is on, an answer may be an error: of a right that the role does not have, or of a time-out. A
-- statement has one time-out, so that nothing is asked behind it.
do $asked$
declare
  question record;
  answer json;
  answers json[] := '{}';
  time_out text;
begin
  for question in
    select q.query
    from json_array_elements_text(current_setting('rowhooks.questions')::json) with ordinality as q (query, place)
    order by q.place
  loop
    if time_out is not null then
      answers := answers || json_build_object('error', time_out);
      continue;
    end if;
    begin
      execute format('select coalesce(json_agg(to_json(a)), ''[]'') from (%s%s) as a', question.query, chr(10)) into answer;
      answers := answers || json_build_object('rows', answer);
    exception
      when insufficient_privilege or query_canceled or lock_not_available then
        if not current_setting('rowhooks.is_tolerant')::boolean then
          raise;
        end if;
        time_out := case when sqlstate = '57014' then sqlerrm end;
        answers := answers || json_build_object('error', sqlerrm);
    end;
  end loop;
  perform set_config('rowhooks.answers', array_to_json(answers)::text, true);
end
$asked$;
