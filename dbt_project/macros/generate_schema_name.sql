{#- Schemas are named as configured, without a target prefix: BI reads schema `marts` in every deployment. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name if custom_schema_name is not none else target.schema }}
{%- endmacro %}
