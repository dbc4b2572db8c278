{#- Names of the indicators: the columns of fct_customer_indicators that are numbers, or whose meta says level (a name
    with a score). The YAML of the mart is the only list of them. -#}
{% macro indicators(kind) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in graph.nodes['model.customer_tiering.fct_customer_indicators'].columns.values() -%}
            {%- set is_level = column.config.meta.get('level', false) -%}
            {%- set is_number = column.data_type.split('(')[0] in ('decimal', 'integer') -%}
            {%- if (kind == 'level' and is_level) or (kind == 'number' and is_number) -%}
                {%- do found.append(column.name) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
