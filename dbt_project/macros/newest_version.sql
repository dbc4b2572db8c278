{#-
    One row per key of a table of accepted rows: merged copies are left out, the greatest version wins, later loads and
    later rows break ties; a key whose last version says that it is gone at the source has no row. Lineage of what was merged stays in schema input_layer.
-#}
{% macro newest_version(relation, key, version) -%}
    select *
    from (
        select
            *,
            row_number() over (
                partition by {{ key | join(', ') }}
                order by {{ version }} desc nulls last, _load_id desc, _row_number desc
            ) as version_rank
        from {{ relation }}
        where not _is_merged
    ) as versions
    where version_rank = 1 and not coalesce(_is_deleted, false)
{%- endmacro %}
