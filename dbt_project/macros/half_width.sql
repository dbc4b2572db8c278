{#- Full-width digits, letters and signs of Chinese input methods to their plain forms. -#}
{% macro half_width(column) -%}
    translate({{ column }}, '０１２３４５６７８９＋－（）　', '0123456789+-() ')
{%- endmacro %}
