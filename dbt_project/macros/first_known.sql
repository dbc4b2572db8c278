{#- Within a group: the value of the most preferred row (least `preference`) that has one. -#}
{% macro first_known(column) -%}
    min_by({{ column }}, case when {{ column }} is not null then preference end)
{%- endmacro %}
