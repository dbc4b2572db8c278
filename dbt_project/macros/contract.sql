{#- The columns that the model's own YAML promises, in its order: a mart that adds no rule selects just these. -#}
{% macro promised_columns() -%}
    {{ model.columns.keys() | join(',\n    ') }}
{%- endmacro %}
