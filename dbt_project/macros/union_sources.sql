{#-
    All rows of a canonical entity over the enabled sources that feed it, with exactly the given columns and
    types (name -> type), and `source` in front. No source for the entity: no rows, same columns.
-#}
{% macro union_sources(entity, columns) -%}
    {%- set feeding = [] -%}
    {%- for name in var('canonical_entities')[entity] if name in var('enabled_sources') -%}
        {%- do feeding.append(name) -%}
    {%- endfor -%}
    {%- for name in feeding %}
    select
        '{{ name }}' as source,
        {%- for column, type in columns.items() %}
        cast({{ column }} as {{ type }}) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ ref('stg_' ~ name ~ '__' ~ entity) }}
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        cast(null as varchar) as source,
        {%- for column, type in columns.items() %}
        cast(null as {{ type }}) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    where 1 = 0
    {%- endfor %}
{%- endmacro %}
