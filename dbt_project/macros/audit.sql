{#-
    The audit computes figures a second time. It shares nothing with the models that it checks but how texts are read,
    how ratios are rounded, how days are counted, and which customer a source id belongs to.
-#}

{#- Whether no edge of a band keeps a value out. -#}
{% macro between_edges(value, band) -%}
    {{ value }} is not null
    and not coalesce({{ value }} < {{ band }}.lower_bound, false)
    and not coalesce({{ value }} = {{ band }}.lower_bound and not {{ band }}.lower_included, false)
    and not coalesce({{ value }} > {{ band }}.upper_bound, false)
    and not coalesce({{ value }} = {{ band }}.upper_bound and not {{ band }}.upper_included, false)
{%- endmacro %}

{#- A day as a number like 20260330; the difference of two, by 10 000 and rounded down, is completed years. -#}
{% macro day_number(day) -%}
    (extract(year from {{ day }}) * 10000 + extract(month from {{ day }}) * 100 + extract(day from {{ day }}))
{%- endmacro %}

{#- The accepted versions of a table's rows that no later version of the same key replaces. `versions` has been narrowed
    to the rows of interest before, so that whole tables are not ordered. -#}
{% macro without_later_version(versions, key, version) -%}
    select this.*
    from {{ versions }} as this
    where
        not coalesce(this._is_deleted, false)
        and not exists (
            select 1
            from {{ versions }} as later
            where
                {%- for column in key %}
                later.{{ column }} = this.{{ column }}
                and
                {%- endfor %}
                (coalesce(cast(later.{{ version }} as varchar), ''), later._load_id, later._row_number)
                > (coalesce(cast(this.{{ version }} as varchar), ''), this._load_id, this._row_number)
        )
{%- endmacro %}
