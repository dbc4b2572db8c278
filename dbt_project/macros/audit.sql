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

{#- The raw versions of a table's rows that no later version of the same key replaces. `versions` has been narrowed to
    the rows of interest before, so that whole tables are not ordered. -#}
{% macro without_later_version(versions, key, version) -%}
    select this.*
    from {{ versions }} as this
    where not exists (
        select 1
        from {{ versions }} as later
        where
            {%- for column in key %}
            later.{{ column }} = this.{{ column }}
            and
            {%- endfor %}
            (coalesce(later.{{ version }}, ''), later._load_id, later._row_number)
            > (coalesce(this.{{ version }}, ''), this._load_id, this._row_number)
    )
{%- endmacro %}

{#- The sampled customers under their ids in one source; `per_night` also says which night sampled them. -#}
{% macro sampled_ids(source, per_night=false) -%}
    select distinct
        ids.source_customer_id,
        ids.customer_id
        {%- if per_night %},
        customers.as_of_date
        {%- endif %}
    from {{ ref('int_customer_ids') }} as ids
    inner join {{ ref('audit_customers') }} as customers
        on ids.customer_id = customers.customer_id
    where ids.source = '{{ source }}'
{%- endmacro %}

{#- Enabled sources that feed one of these canonical entities. -#}
{% macro sources_feeding(entities) -%}
    {%- set feeding = [] -%}
    {%- for entity in entities -%}
        {%- for name in var('canonical_entities')[entity] if name in var('enabled_sources') and name not in feeding -%}
            {%- do feeding.append(name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(feeding) }}
{%- endmacro %}

{#- Whether everything that feeds these entities is computed again: a part of an indicator says nothing about it. -#}
{% macro is_audited(entities) -%}
    {%- set unknown = [] -%}
    {%- for name in customer_tiering.sources_feeding(entities) if name not in var('audited_sources') -%}
        {%- do unknown.append(name) -%}
    {%- endfor -%}
    {{ return(not unknown) }}
{%- endmacro %}
