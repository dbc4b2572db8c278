{#- Private values as they may be published. -#}

{#- 13812345678 -> 138****5678; anything shorter shows nothing. -#}
{% macro mask_phone(column) -%}
    case
        when length({{ column }}) >= 11 then left({{ column }}, 3) || '****' || right({{ column }}, 4)
        when {{ column }} is not null then '****'
    end
{%- endmacro %}

{#- First character, then stars. -#}
{% macro mask_name(column) -%}
    case when {{ column }} is not null then left({{ column }}, 1) || '**' end
{%- endmacro %}
